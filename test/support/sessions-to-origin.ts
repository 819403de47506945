import type { Socket } from 'node:net';
import { defaultOriginSettings, type OriginSettings } from '../../src/domain/ingress.ts';
import type { OriginConnection } from '../../src/tunnel/origin/exchange.ts';
import { Http2Sessions } from '../../src/tunnel/origin/http2-sessions.ts';
import type { OriginFailure } from '../../src/tunnel/origin/origin-failure.ts';
import { type ConnectionToOrigin, connectionToOrigin } from './connection-to-origin.ts';
import { eventually } from './eventually.ts';
import { ManualClock, settle } from './manual-clock.ts';
import { rawSettings } from './raw-frames.ts';

/** What was asked of the host of the sessions. */
export interface Opening {
  readonly serverName: string;
  readonly connected: (socket: Socket) => void;
  readonly failed: (failure: OriginFailure) => void;
  cancelled: boolean;
}

/** One who asked for a place. */
export interface Asker {
  given: OriginConnection | null;
  failure: OriginFailure | null;
  cancel(): void;
}

const over: OriginFailure = { reason: 'other', message: 'the stage is closed' };

/** The sessions of one address, whose sockets a test hands out one by one, and those who ask them for places. */
export class SessionsToOrigin {
  readonly clock = new ManualClock();
  readonly openings: Opening[] = [];
  /** Connections of HTTP/1.1 that the sessions have made of their sockets. */
  adopted = 0;
  readonly sessions: Http2Sessions;
  readonly #pairs: ConnectionToOrigin[] = [];

  constructor(settings: Partial<OriginSettings> = { protocol: 'h2c' }) {
    this.sessions = new Http2Sessions({ ...defaultOriginSettings, ...settings }, this.clock, {
      open: (serverName, connected, failed) => {
        const opening: Opening = { serverName, connected, failed, cancelled: false };
        this.openings.push(opening);
        return {
          cancel() {
            opening.cancelled = true;
          },
        };
      },
      adoptHttp1: (socket) => {
        this.adopted += 1;
        return { http1: socket, destroy() {} } as unknown as OriginConnection;
      },
      fellSilent() {},
      streamOver() {},
    });
  }

  /** Ends all; fails where a session or a timer is left. */
  async close(): Promise<void> {
    this.sessions.destroy(over);
    for (const pair of this.#pairs) pair.stop();
    await eventually('nothing to be left', () => this.sessions.empty && this.clock.pendingTimers === 0);
  }

  ask(patient = false, serverName = ''): Asker {
    const caller = { serverName, http1: false, sinceMs: this.clock.monotonic() };
    const asker: Asker = { given: null, failure: null, cancel: () => dial.cancel() };
    const dial = this.sessions.dial(
      caller,
      patient,
      (connection) => {
        asker.given = connection;
      },
      (failure) => {
        asker.failure = failure;
      },
    );
    return asker;
  }

  askers(count: number): Asker[] {
    return Array.from({ length: count }, () => this.ask());
  }

  /** The opening of that place comes about; its origin allows so many streams, or has yet to say so. */
  async connect(index: number, streams: number | null, alpnProtocol?: string): Promise<Socket> {
    const pair = await connectionToOrigin();
    this.#pairs.push(pair);
    this.openings[index]!.connected(Object.assign(pair.ours, { alpnProtocol }));
    if (streams !== null) pair.origin.write(rawSettings({ 3: streams }));
    return pair.origin;
  }

  /** Asks for one place, and serves it by a first session that allows so many streams. */
  async first(streams: number): Promise<{ asker: Asker; origin: Socket }> {
    const asker = this.ask();
    await settle();
    const origin = await this.connect(0, streams);
    await eventually('a place', () => asker.given);
    return { asker, origin };
  }

  /** How many sessions are opened at once for so many requests, which then go away. */
  async openedFor(requests: number): Promise<number> {
    const from = this.openings.length;
    const asking = this.askers(requests);
    await settle();
    const opened = this.openings.length - from;
    for (const { cancel } of asking) cancel();
    return opened;
  }
}
