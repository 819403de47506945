import type { TLSSocket } from 'node:tls';
import { type Fault, fault, unreachable } from '../fault.ts';
import type { Clock, Timer } from '../time/clock.ts';
import { ControlStream, type RegisteredDetails } from './control-stream.ts';
import type { EdgeAddress } from './edge-addresses.ts';
import { type Dial, dialEdge } from './edge-dial.ts';
import type { EdgeSession, EdgeSessionEvents, EdgeStream, RequestHead } from './edge-session.ts';
import { type Heartbeat, pingTimeoutMs } from './heartbeat.ts';
import type { ConnectionEnd } from './http2/connection.ts';
import type { StreamHandler } from './http2/stream.ts';
import { refuseConfiguration, refuseStream, refuseTcp } from './refused-streams.ts';
import { streamKind } from './stream-kind.ts';
import { http2Error } from './wire/http2-errors.ts';
import type { Registration } from './wire/registration.ts';

/** How long the edge may take to open the control stream, milliseconds. cloudflared waits for ever. */
export const controlStreamTimeoutMs = 10_000;

export interface EdgeConnectionOptions {
  readonly address: EdgeAddress;
  readonly ca: string | null;
  readonly clock: Clock;
  /** The thread's. */
  readonly heartbeat: Heartbeat;
  /** Everything but the local address, which is known after the dial. */
  readonly registration: Omit<Registration, 'originLocalIp'>;
  /** Answers ordinary requests. */
  open(stream: EdgeStream, head: RequestHead): StreamHandler;
  /** As `EdgeSessionEvents` has it. */
  handlerThrew(thrown: unknown): void;
  /** Makes the HTTP/2 server session on the dialled socket, which then owns the socket. */
  createSession(
    socket: TLSSocket,
    events: EdgeSessionEvents,
    options: { readonly clock: Clock },
  ): EdgeSession;
  /** The JSON that an edge may show of a locally managed tunnel; null: this connection does not send it. */
  localConfiguration(): string | null;
}

export interface EdgeConnectionEvents {
  /** TCP has reached the edge. */
  reached(): void;
  registered(details: RegisteredDetails): void;
  /**
   * The edge will open no more streams here (GOAWAY, or the control stream is gone), but running requests go
   * on: a replacement is due, then `retire`. At most once, after `registered`.
   */
  leaving(cause: Fault): void;
  /** The edge did not take what was said of our routes, or it was not taken what the edge wanted of them. */
  configurationRefused(fault: Fault): void;
  /** Exactly once, and last. */
  ended(cause: Fault): void;
}

const pushed = fault(
  'config-invalid',
  'Cloudflare pushed a remote configuration: the tunnel is managed there, and it is not applied here',
);
const dead = fault('edge-timeout', `nothing came from the edge within ${pingTimeoutMs} ms of a PING`);

type Phase = 'dialling' | 'opening' | 'registering' | 'registered' | 'draining' | 'ended';

/**
 * One HA connection to the edge, once: dial, session, control stream, registration, requests, end. It owns its
 * socket, session, timers and control stream and is never reused.
 */
export class EdgeConnection {
  readonly #options: EdgeConnectionOptions;
  readonly #events: EdgeConnectionEvents;
  #phase: Phase = 'dialling';
  readonly #dial: Dial;
  #session: EdgeSession | null = null;
  #control: ControlStream | null = null;
  #controlStream: EdgeStream | null = null;
  #localIp: Uint8Array = Buffer.alloc(0);
  #left = false;
  readonly #dialledAtMs: number;
  /** Why the session ends, before its streams are reset for it: the control stream's reset says less. */
  #loss: Fault | null = null;
  /** The wait for the control stream. */
  #timer: Timer | null = null;
  #watch: { end(): void } | null = null;

  constructor(options: EdgeConnectionOptions, events: EdgeConnectionEvents) {
    this.#options = options;
    this.#events = events;
    this.#dialledAtMs = options.clock.monotonic();
    this.#dial = dialEdge(options.address, options.ca, options.clock, {
      reached: () => events.reached(),
      connected: (socket) => this.#dialled(socket),
      failed: (cause) => this.#end(cause),
    });
  }

  /**
   * Unregisters, lets running requests finish, then ends; the edge may close earlier. A connection that is not
   * registered ends at once. Unbounded: the owner calls `destroy` after the grace period. Idempotent.
   */
  drain(): void {
    if (this.#phase === 'draining') return;
    if (this.#phase !== 'registered') return this.destroy();
    this.#phase = 'draining';
    this.#control?.unregister(() => this.#closeWhenIdle());
  }

  /** As `drain`, for a connection that the edge is leaving: there is nothing to unregister from. */
  retire(): void {
    if (this.#phase === 'draining') return;
    if (this.#phase !== 'registered') return this.destroy();
    this.#phase = 'draining';
    this.#control?.destroy();
    this.#closeWhenIdle();
  }

  /** Ends now; `ended` follows before this returns. Idempotent. */
  destroy(): void {
    this.#fail(fault('stopped', 'the connection was ended by its owner'));
  }

  #dialled(socket: TLSSocket): void {
    this.#localIp = ipv6Bytes(socket.localAddress ?? '');
    this.#phase = 'opening';
    this.#timer = this.#options.clock.after(controlStreamTimeoutMs, () =>
      this.#fail(fault('edge-timeout', `no control stream within ${controlStreamTimeoutMs} ms`)),
    );
    const events: EdgeSessionEvents = {
      stream: (stream, head) => this.#opened(stream, head),
      handlerThrew: (thrown) => this.#options.handlerThrew(thrown),
      // Later: whose stream was the last is about to hear how that one ended.
      idle: () => {
        if (this.#phase === 'draining') process.nextTick(() => this.#closeWhenIdle());
      },
      goaway: (code) => this.#leave(fault('edge-lost', `the edge is going away (GOAWAY ${code})`)),
      ending: (end) => {
        this.#loss = lossOf(end);
      },
      ended: (end) => this.#end(lossOf(end)),
    };
    const session = this.#options.createSession(socket, events, { clock: this.#options.clock });
    if (this.#hasEnded()) return;
    this.#session = session;
  }

  #hasEnded(): boolean {
    return this.#phase === 'ended';
  }

  #opened(stream: EdgeStream, head: RequestHead): StreamHandler {
    const kind = streamKind(head.headers);
    switch (kind) {
      case 'http':
      case 'websocket':
        return this.#options.open(stream, head);
      case 'control':
        return this.#openControl(stream);
      case 'configuration':
        this.#events.configurationRefused(pushed);
        return refuseConfiguration(stream, head);
      case 'tcp':
        return refuseTcp(stream, head);
      default:
        return unreachable(kind);
    }
  }

  #openControl(stream: EdgeStream): StreamHandler {
    if (this.#phase !== 'opening') return refuseStream(stream);
    this.#timer?.cancel();
    this.#phase = 'registering';
    this.#controlStream = stream;
    const registration = { ...this.#options.registration, originLocalIp: this.#localIp };
    const control = new ControlStream(stream, registration, this.#options.clock, {
      registered: (details) => this.#registered(details),
      lost: (cause) => this.#leave(this.#loss ?? cause),
      configurationRefused: (cause) => this.#events.configurationRefused(cause),
    });
    this.#control = control;
    return control;
  }

  #registered(details: RegisteredDetails): void {
    if (this.#phase !== 'registering') return;
    this.#phase = 'registered';
    if (this.#session !== null)
      this.#watch = this.#options.heartbeat.watch(this.#session, this.#dialledAtMs, () => this.#fail(dead));
    this.#events.registered(details);
    const config = details.remotelyManaged ? null : this.#options.localConfiguration();
    if (config !== null) this.#control?.updateLocalConfiguration(Buffer.from(config));
  }

  #leave(cause: Fault): void {
    if (this.#phase === 'opening' || this.#phase === 'registering') return this.#fail(cause);
    if (this.#left || this.#phase !== 'registered') return;
    this.#left = true;
    this.#events.leaving(cause);
  }

  /** The control stream has done its work; whichever half of it is still open must not be waited for. */
  #closeWhenIdle(): void {
    if (this.#phase !== 'draining' || this.#session === null) return;
    this.#controlStream?.reset(http2Error.noError);
    if (this.#session.openStreams === 0) this.#session.close();
  }

  /**
   * The case is closed first: what the session then tells its streams concerns only their handlers. The owner hears of it
   * behind them.
   */
  #fail(cause: Fault): void {
    if (!this.#close()) return;
    this.#session?.destroy();
    this.#events.ended(cause);
  }

  #end(cause: Fault): void {
    if (this.#close()) this.#events.ended(cause);
  }

  #close(): boolean {
    if (this.#phase === 'ended') return false;
    this.#phase = 'ended';
    this.#dial.destroy();
    this.#timer?.cancel();
    this.#watch?.end();
    this.#control?.destroy();
    return true;
  }
}

function lossOf(end: ConnectionEnd): Fault {
  switch (end.by) {
    case 'peer':
      return fault('edge-lost', 'the edge closed the connection');
    case 'own':
      return fault('stopped', 'the connection was closed');
    case 'error':
      return fault('edge-lost', `the connection broke: ${end.message}`);
    default:
      return unreachable(end);
  }
}

/** 16 bytes, IPv4 mapped into IPv6 (protocol page section 7.1); empty for what is no address. */
export function ipv6Bytes(address: string): Uint8Array {
  const v4 = /^(?:::ffff:)?(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/i.exec(address);
  if (v4 !== null) return Buffer.from([...mappedPrefix, ...v4.slice(1).map(Number)]);
  const [text = ''] = address.split('%');
  const [head = '', tail] = text.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const missing = 8 - before.length - after.length;
  const all =
    tail === undefined ? before : [...before, ...Array<number>(Math.max(0, missing)).fill(0), ...after];
  if (all.length !== 8 || all.some((group) => !(group >= 0 && group <= 0xffff))) return Buffer.alloc(0);
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

const mappedPrefix = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
