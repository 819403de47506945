import { defaultOriginSettings } from '../../src/domain/ingress.ts';
import type { EdgeStream } from '../../src/tunnel/edge-session.ts';
import { CollectedBytes } from '../../src/tunnel/origin/collected-bytes.ts';
import type { Exchange, OriginConnection } from '../../src/tunnel/origin/exchange.ts';
import { type BodyFraming, planRequest, type RequestPlan } from '../../src/tunnel/origin/http1-request.ts';
import type { OriginFailure } from '../../src/tunnel/origin/origin-failure.ts';
import type { OriginGroup } from '../../src/tunnel/origin/origin-group.ts';
import { HttpExchange } from '../../src/tunnel/proxy-http.ts';
import { ManualClock } from './manual-clock.ts';

/** A request, and where it goes. */
export interface StrictRequest {
  readonly method: string;
  /** -1: not announced. */
  readonly length: number;
  readonly websocket: boolean;
  readonly chunkedEncoding: boolean;
}

/** Next of the test's own choices, below `n`. */
export type Choose = (n: number) => number;

/** The edge's stream; throws where a session would, or where it would end the stream over it. */
export class StrictStream implements EdgeStream {
  readonly id = 1;
  /** Both halves are over, or it was reset. */
  closed = false;
  responded = false;
  ended = false;
  peerEnded = false;
  blocked = false;
  readonly #choose: Choose;

  constructor(choose: Choose) {
    this.#choose = choose;
  }

  takes(): boolean {
    return this.#choose(20) !== 0;
  }

  respond(status: number, _headers: readonly string[], end: boolean): void {
    if (this.closed || status < 200) return;
    if (this.responded) throw new Error('responded to twice');
    this.responded = true;
    if (end) this.end();
  }

  write(): boolean {
    if (this.closed) return true;
    if (!this.responded || this.ended) throw new Error('written to before its head or after its end');
    this.blocked = this.#choose(3) === 0;
    return !this.blocked;
  }

  end(): void {
    if (this.closed || this.ended) return;
    if (!this.responded) throw new Error('ended before its head');
    this.ended = true;
    this.closed = this.peerEnded;
  }

  reset(): void {
    this.closed = true;
  }

  pause(): void {}
  resume(): void {}
}

/** A connection to the origin; throws where the origin would get what is no request. */
export class StrictConnection implements OriginConnection {
  readonly exchanges: number;
  answered = false;
  upgraded = false;
  /** Who hears of it, until it is over. */
  exchange: Exchange | null = null;
  received = '';
  done = false;
  full = false;
  /** It ends behind what it was given. */
  endsSoon = false;
  #framing: BodyFraming = 'none';
  #over = false;
  readonly #choose: Choose;

  constructor(choose: Choose) {
    this.#choose = choose;
    this.exchanges = choose(2);
  }

  start(exchange: Exchange, _plan: RequestPlan, framing: BodyFraming, last: boolean): void {
    this.exchange = exchange;
    this.#framing = framing;
    this.done = last;
  }

  write(chunk: Buffer): boolean {
    if (this.#over || (this.done && !this.upgraded)) throw new Error('a body behind its end');
    this.received += chunk.toString();
    this.full = this.#choose(3) === 0;
    return !this.full;
  }

  requestDone(): void {
    if (this.#over || (this.done && !this.upgraded)) throw new Error('a body that ended twice');
    this.done = true;
    if (typeof this.#framing === 'object' && this.received.length !== this.#framing.length) {
      throw new Error('a body of another length than was announced');
    }
  }

  pause(): void {}
  resume(): void {}

  endSoon(): void {
    this.endsSoon = true;
    this.leave();
  }

  destroy(): void {
    this.leave();
  }

  /** The exchange hears no more of it but what is told by this. */
  leave(): Exchange | null {
    const { exchange } = this;
    this.exchange = null;
    this.#over = true;
    return exchange;
  }
}

interface PendingDial {
  readonly connected: (connection: OriginConnection) => void;
  readonly failed: (failure: OriginFailure) => void;
}

/** One exchange between an edge and an origin that a test moves step by step. */
export class StrictExchange {
  readonly clock = new ManualClock();
  readonly stream: StrictStream;
  readonly collecting = new CollectedBytes();
  readonly connections: StrictConnection[] = [];
  readonly dials: PendingDial[] = [];
  readonly exchange: HttpExchange;
  /** How often it said that it is over. */
  overs = 0;

  constructor({ method, length, websocket, chunkedEncoding }: StrictRequest, choose: Choose) {
    this.stream = new StrictStream(choose);
    const headers = [
      ...(length < 0 ? [] : ['content-length', String(length)]),
      ...(websocket ? ['cf-cloudflared-proxy-connection-upgrade', 'websocket'] : []),
    ];
    const head = { method, path: '/', scheme: 'https', authority: 'app.example.com', headers, ended: false };
    const connect = (): StrictConnection => {
      const connection = new StrictConnection(choose);
      this.connections.push(connection);
      return connection;
    };
    const pool = { take: () => (choose(2) === 0 ? connect() : null), rested: () => false };
    const group = {
      settings: { ...defaultOriginSettings, chunkedEncoding },
      choose: () => pool,
      dial: (
        _pool: unknown,
        _caller: unknown,
        connected: PendingDial['connected'],
        failed: PendingDial['failed'],
      ) => {
        const dial = { connected: () => connected(connect()), failed };
        this.dials.push(dial);
        return { cancel: () => this.#forget(dial) };
      },
    };
    this.exchange = new HttpExchange(
      {
        ...{ clock: this.clock, collecting: this.collecting, originFailed: () => {}, peerFailed: () => {} },
        over: () => {
          this.overs += 1;
        },
      },
      this.stream,
      planRequest(head, { connectorId: 'the-id', hostHeader: null }) as RequestPlan,
      false,
      group as unknown as OriginGroup,
    );
    this.exchange.start();
  }

  /** What carries it now. */
  get connection(): StrictConnection | undefined {
    return this.connections.find(({ exchange }) => exchange !== null);
  }

  /** The oldest dial that is under way comes to its end. */
  dialled(failure: OriginFailure | null): void {
    const dial = this.dials.shift();
    if (failure === null) (dial as { connected: () => void } | undefined)?.connected();
    else dial?.failed(failure);
  }

  #forget(dial: PendingDial): void {
    const at = this.dials.indexOf(dial);
    if (at >= 0) this.dials.splice(at, 1);
  }
}
