import { randomUUID } from 'node:crypto';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Clock, Timer } from '../../time/clock.ts';
import type { Registration, RegistrationResult } from '../../tunnel/wire/registration.ts';
import { ControlRpc } from './control-rpc.ts';
import type { Link } from './wire-link.ts';

/** `registering` → `serving` → `draining` → `closed`; any of them can be left out. */
export type ConnectionState = 'registering' | 'serving' | 'draining' | 'closed';

/** Who decides and who is told; given once by the edge. */
export interface ConnectionOwner {
  readonly clock: Clock;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  /** Decides; a connection that is registered takes streams as soon as this has returned. */
  register(connection: ConnectorConnection, registration: Registration): RegistrationResult;
  /** Called exactly once, whatever ended the connection. */
  closed(connection: ConnectorConnection): void;
}

/** A connector has this long from TLS to a registration. */
const registrationLimitMs = 10_000;
/** After a refusal the connector waits for the edge to close, which comes when the answer has been read. */
const closeAfterRefusalMs = 100;
/** After unregisterConnection the connector ends its control stream, but is not waited for much longer. */
const controlEndLimitMs = 1_000;
/** A session that has no stream left ends by itself; one that does not, is ended. */
const closeLimitMs = 1_000;
const connectionWindowBytes = 16 << 20;
const streamWindowBytes = 1 << 20;

/**
 * One connection of a connector, from the end of TLS on: we are the HTTP/2 client, by an implementation that is
 * not the project's own. Owns the socket.
 */
export class ConnectorConnection {
  /** UUID; what the connector is told, too. */
  readonly id = randomUUID();
  readonly link: Link;
  readonly #owner: ConnectionOwner;
  readonly #session: ClientHttp2Session;
  readonly #rpc: ControlRpc;
  readonly #timers = new Set<Timer>();
  #control: ClientHttp2Stream | null = null;
  #state: ConnectionState = 'registering';
  #registration: Registration | null = null;
  #hasUnregistered = false;
  #openStreams = 0;
  #requests = 0;
  /** By `monotonic`, when the connector last sent a PING. */
  #pingedMs = Number.NEGATIVE_INFINITY;
  #localConfiguration: string | null = null;

  constructor(socket: TLSSocket, link: Link, owner: ConnectionOwner) {
    this.link = link;
    this.#owner = owner;
    this.#rpc = new ControlRpc({
      register: (registration) => this.#register(registration),
      unregister: () => {
        this.#hasUnregistered = true;
        this.drain();
      },
      configure: (config) => {
        this.#localConfiguration = config.toString('utf8');
      },
    });
    this.#session = connect('https://edge.sandbox', {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: streamWindowBytes, maxHeaderListSize: 1 << 20 },
      maxHeaderListPairs: 2_000,
      maxSendHeaderBlockLength: 1 << 20,
      maxSessionMemory: 256,
    });
    this.#session.on('error', () => {});
    this.#session.once('close', () => this.#closed());
    this.#session.once('connect', () => this.#openControlStream());
    this.#session.on('goaway', () => this.drain());
    this.#session.on('ping', () => {
      this.#pingedMs = owner.clock.monotonic();
    });
    this.#after(registrationLimitMs, () => {
      if (this.#registration === null) this.destroy();
    });
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** True from the moment on at which streams end because the connection does. */
  get isLost(): boolean {
    return this.#session.destroyed;
  }

  /** Null until it is registered. Holds a secret. */
  get registration(): Registration | null {
    return this.#registration;
  }

  get hasUnregistered(): boolean {
    return this.#hasUnregistered;
  }

  /** Streams of eyeballs that are open now. */
  get openStreams(): number {
    return this.#openStreams;
  }

  /** Streams of eyeballs so far. */
  get requests(): number {
    return this.#requests;
  }

  /** The last JSON of updateLocalConfiguration. */
  get localConfiguration(): string | null {
    return this.#localConfiguration;
  }

  /**
   * Opens a stream; `headers` is name, value, … with the pseudo headers first. Null when the connection takes
   * none. The stream is the caller's, who listens to its errors; throws when a header is not valid in HTTP/2.
   */
  open(
    headers: readonly string[],
    body: { readonly endStream: boolean; readonly trailers: boolean },
  ): ClientHttp2Stream | null {
    if (this.#state !== 'serving' || this.#session.closed || this.#session.destroyed) return null;
    const stream = this.#session.request(headers, {
      endStream: body.endStream,
      waitForTrailers: body.trailers,
    });
    this.#openStreams++;
    this.#requests++;
    stream.once('close', () => {
      this.#openStreams--;
      if (this.#state === 'draining') this.#finishDraining();
    });
    return stream;
  }

  /** No new streams; those that run may end, then the connection is closed. Idempotent. */
  drain(): void {
    if (this.#state === 'draining' || this.#state === 'closed') return;
    this.#state = 'draining';
    const control = this.#control;
    if (control === null) return this.destroy();
    control.once('end', () => this.#finishDraining());
    this.#after(controlEndLimitMs, () => {
      control.end();
      this.#finishDraining();
    });
  }

  /** Sends GOAWAY and lets running streams end: what a server does that restarts. */
  goaway(): void {
    if (this.#session.destroyed) return;
    this.#session.goaway(constants.NGHTTP2_NO_ERROR);
    this.drain();
  }

  /** Ends everything now. Idempotent. */
  destroy(): void {
    if (!this.#session.destroyed) this.#session.destroy();
  }

  #openControlStream(): void {
    this.#session.setLocalWindowSize(connectionWindowBytes);
    const control = this.#session.request(
      {
        ':method': 'GET',
        ':path': '/',
        'cf-cloudflared-proxy-connection-upgrade': 'control-stream',
      },
      { endStream: false },
    );
    this.#control = control;
    control.on('error', () => {});
    control.on('data', (chunk: Buffer) => {
      const { frames, over } = this.#rpc.receive(chunk);
      for (const frame of frames) control.write(frame);
      if (over !== null) control.end();
    });
    control.once('end', () => {
      control.end();
      // Gone without a word: a connector that stops at once. After a refusal the timer closes the connection.
      if (this.#state === 'serving') this.drain();
    });
    control.once('close', () => {
      if (this.#state === 'serving') this.destroy();
    });
  }

  #register(registration: Registration): RegistrationResult {
    const result: RegistrationResult =
      this.#state === 'registering'
        ? this.#owner.register(this, registration)
        : { kind: 'refused', cause: 'already registered', retryAfterNanoseconds: 0n, shouldRetry: false };
    if (result.kind === 'registered') {
      this.#registration = registration;
      this.#state = 'serving';
      this.#pingLater();
    } else {
      this.#after(closeAfterRefusalMs, () => this.destroy());
    }
    return result;
  }

  #finishDraining(): void {
    const controlEnded = this.#control === null || this.#control.readableEnded || this.#control.writableEnded;
    if (this.#openStreams > 0 || !controlEnded || this.#session.closed) return;
    this.#control?.end();
    this.#session.close();
    this.#after(closeLimitMs, () => this.destroy());
  }

  /** Only a connector that sends no PING itself is sent one, as by Go's HTTP/2 with a `ReadIdleTimeout`. */
  #pingLater(quietForMs = 0): void {
    this.#after(this.#owner.pingIntervalMs - quietForMs, () => {
      if (this.#session.destroyed) return;
      const pingedAgoMs = this.#owner.clock.monotonic() - this.#pingedMs;
      if (pingedAgoMs < this.#owner.pingIntervalMs) return this.#pingLater(pingedAgoMs);
      const overdue = this.#after(this.#owner.pingTimeoutMs, () => this.destroy());
      this.#session.ping((error) => {
        if (error !== null) return;
        overdue.cancel();
        this.#timers.delete(overdue);
        this.#pingLater();
      });
    });
  }

  #after(delayMs: number, fire: () => void): Timer {
    const timer = this.#owner.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      fire();
    });
    this.#timers.add(timer);
    return timer;
  }

  #closed(): void {
    this.#state = 'closed';
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#owner.closed(this);
  }
}
