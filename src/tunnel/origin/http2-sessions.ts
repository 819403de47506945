import type { Socket } from 'node:net';
import type { OriginSettings } from '../../domain/ingress.ts';
import type { Clock, Timer } from '../../time/clock.ts';
import type { Caller, OriginConnection } from './exchange.ts';
import { maxStreams } from './http2-origin-limits.ts';
import { Http2OriginSession } from './http2-origin-session.ts';
import { type Line, type Opening, type Waiter, Waiters } from './http2-waiters.ts';
import type { OriginFailure } from './origin-failure.ts';
import type { Dial } from './origin-socket.ts';

/** Sessions to one address for one server name. When all are full, requests wait until a stream is over. */
const maxSessions = 64;

/** From one failed attempt at a further session to the next, milliseconds, while others carry on. */
const redialMs = 1_000;

export interface SessionsHost {
  /** Opens a socket on which HTTP/2 may be spoken; one callback comes, later. */
  open(
    serverName: string,
    connected: (socket: Socket) => void,
    failed: (failure: OriginFailure) => void,
  ): Dial;
  /** The origin has chosen HTTP/1.1: the socket as a connection of that kind. */
  adoptHttp1(socket: Socket, serverName: string): OriginConnection;
  /** The address answers nothing any more. */
  fellSilent(): void;
  /** A stream that `take` or `dial` gave is over. */
  streamOver(): void;
}

const notNeeded: OriginFailure = { reason: 'reset', message: 'nobody needs the HTTP/2 session any more' };
const endedUnused: OriginFailure = {
  reason: 'reset',
  message: 'the origin ended the HTTP/2 session before it allowed a stream',
};

/**
 * The HTTP/2 sessions to one address of one origin, and the requests that wait for a place in one: who came first is
 * served first. Sessions are opened for who waits, until the origin is known to choose HTTP/1.1: then each of them gets a
 * connection for itself. Owns sessions and dials.
 */
export class Http2Sessions {
  readonly #settings: OriginSettings;
  readonly #clock: Clock;
  readonly #host: SessionsHost;
  /** All that are not gone. */
  readonly #all = new Set<Http2OriginSession>();
  #usable: Http2OriginSession[] = [];
  /** By server name. */
  readonly #lines = new Map<string, Line>();
  /**
   * So many streams at once are dared in one session. An origin that ends each after some streams cuts off the others:
   * then it is half as many, though as many as that session had carried; and twice as many when a session carries more.
   */
  #daredStreams = maxStreams;
  /** What the origin chose last, by ALPN. */
  #choosesHttp1 = false;
  #closed = false;

  constructor(settings: OriginSettings, clock: Clock, host: SessionsHost) {
    this.#settings = settings;
    this.#clock = clock;
    this.#host = host;
  }

  get empty(): boolean {
    return this.#all.size === 0 && this.#lines.size === 0;
  }

  /** A stream of a session that is open; or null, also when others wait for one. */
  take(serverName: string): OriginConnection | null {
    const line = this.#lines.get(serverName);
    if (line !== undefined && line.waiters.count > 0) return null;
    return this.#roomFor(serverName)?.open() ?? null;
  }

  /**
   * A stream of a session, as soon as there is room; or an HTTP/1.1 connection, if the origin chooses that. `patient`:
   * where no further session can be opened, and others carry on, that may take as long as a dial.
   */
  dial(caller: Caller, patient: boolean, connected: Waiter['connected'], failed: Waiter['failed']): Dial {
    const patientUntilMs = patient ? this.#clock.monotonic() + this.#settings.connectTimeoutMs : 0;
    const waiter: Waiter = { caller, patientUntilMs, connected, failed };
    const line = this.#lineFor(caller.serverName);
    line.waiters.join(waiter);
    this.#serveSoon(caller.serverName);
    return { cancel: () => this.#giveUp(line, waiter) };
  }

  /** Idle sessions end now, others after their streams. */
  close(): void {
    this.#closed = true;
    for (const session of [...this.#usable]) session.close();
  }

  /** Everything ends now; whoever waits or reads hears `failure`. */
  destroy(failure: OriginFailure): void {
    for (const line of [...this.#lines.values()]) this.#failAll(line, failure);
    for (const session of [...this.#all]) session.destroy(failure);
  }

  #lineFor(serverName: string): Line {
    const known = this.#lines.get(serverName);
    if (known !== undefined) return known;
    const line: Line = { serverName, waiters: new Waiters(), openings: new Set(), stuck: null };
    this.#lines.set(serverName, line);
    return line;
  }

  #roomFor(serverName: string): Http2OriginSession | null {
    for (const session of this.#usable) {
      if (session.serverName !== serverName || !session.hasRoom) continue;
      if (session.streams < this.#daredStreams) return session;
    }
    return null;
  }

  /** Later, because it is asked for from within the beginning of an exchange, or the end of another. */
  #serveSoon(serverName: string): void {
    const line = this.#lines.get(serverName);
    if (line !== undefined && line.waiters.count > 0) process.nextTick(() => this.#serve(line));
  }

  /** Gives places to who waits, and sees to it that there will be some for the others. */
  #serve(line: Line): void {
    while (line.waiters.count > 0) {
      const session = this.#roomFor(line.serverName);
      if (session === null) break;
      line.waiters.next()!.connected(session.open());
    }
    if (line.stuck !== null) line.waiters.failImpatient(this.#clock.monotonic(), line.stuck.failure);
    this.#openFor(line);
  }

  /** As many sessions as those who wait need, or connections where HTTP/1.1 is chosen. */
  #openFor(line: Line): void {
    const { waiters, openings } = line;
    const usable = this.#usableFor(line);
    const most = this.#choosesHttp1 ? Number.POSITIVE_INFINITY : maxSessions - usable;
    const wanted = Math.min(this.#wantedFor(line), most);
    const mayOpen = line.stuck === null || usable === 0;
    while (mayOpen && openings.size < wanted) this.#open(line);
    if (waiters.count + openings.size === 0) this.#forget(line);
  }

  #usableFor({ serverName }: Line): number {
    return this.#usable.filter((session) => session.serverName === serverName).length;
  }

  #wantedFor({ waiters }: Line): number {
    return Math.ceil(waiters.count / (this.#choosesHttp1 ? 1 : this.#daredStreams));
  }

  #open(line: Line): void {
    const opening: Opening = { cancel: () => {} };
    line.openings.add(opening);
    const dial = this.#host.open(
      line.serverName,
      (socket) => this.#connected(line, opening, socket),
      (failure) => this.#openingFailed(line, opening, failure),
    );
    opening.cancel = () => dial.cancel();
  }

  #connected(line: Line, opening: Opening, socket: Socket): void {
    const { alpnProtocol } = socket as { alpnProtocol?: string | false | null };
    const https = this.#settings.protocol === 'https';
    this.#choosesHttp1 = https && alpnProtocol !== 'h2';
    if (this.#choosesHttp1) return this.#fallBack(line, opening, socket);

    const { connectTimeoutMs, keepAliveTimeoutMs } = this.#settings;
    const { serverName } = line;
    const scheme = https ? 'https' : 'http';
    const timer: Timer = this.#clock.after(connectTimeoutMs, () =>
      session.destroy({
        reason: 'timeout',
        message: session.spoke
          ? `the origin allowed no HTTP/2 stream within ${connectTimeoutMs} ms`
          : `no HTTP/2 SETTINGS within ${connectTimeoutMs} ms: does the origin speak HTTP/2?`,
      }),
    );
    const session = new Http2OriginSession(
      socket,
      { serverName, scheme, idleLifeMs: keepAliveTimeoutMs },
      this.#clock,
      {
        ready: () => {
          timer.cancel();
          this.#ready(line, opening, session);
        },
        settingsChanged: () => this.#serveSoon(serverName),
        streamOver: () => this.#streamOver(session),
        cutOff: (carried) => {
          const fewer = Math.max(carried, Math.floor(this.#daredStreams / 2), 1);
          this.#daredStreams = Math.min(fewer, this.#daredStreams);
        },
        fellSilent: () => this.#host.fellSilent(),
        unusable: () => {
          this.#usable = this.#usable.filter((other) => other !== session);
          timer.cancel();
          // If it was never ready, those who waited for it know now; others need another one.
          this.#openingFailed(line, opening, session.failure ?? endedUnused);
          this.#serveSoon(serverName);
        },
        gone: () => {
          this.#all.delete(session);
        },
      },
    );
    this.#all.add(session);
    opening.cancel = () => session.destroy(notNeeded);
  }

  /** The first who waits gets the connection; nobody else can share it, so the others get their own. */
  #fallBack(line: Line, opening: Opening, socket: Socket): void {
    line.openings.delete(opening);
    this.#unstick(line);
    const first = line.waiters.next();
    // Not adopted: the host counts a connection as under way until it comes back, and this one was given to nobody.
    if (first === undefined) socket.destroy();
    else first.connected(this.#host.adoptHttp1(socket, line.serverName));
    this.#openFor(line);
  }

  #ready(line: Line, opening: Opening, session: Http2OriginSession): void {
    line.openings.delete(opening);
    this.#unstick(line);
    this.#usable.push(session);
    this.#serve(line);
    this.#closeUnneeded(session);
  }

  #streamOver(session: Http2OriginSession): void {
    this.#host.streamOver();
    const usable = this.#usable.includes(session);
    if (usable && session.carried > this.#daredStreams) {
      this.#daredStreams = Math.min(this.#daredStreams * 2, maxStreams);
    }
    this.#serveSoon(session.serverName);
    this.#closeUnneeded(session);
  }

  #closeUnneeded(session: Http2OriginSession): void {
    if (!this.#closed && session.streams > 0) return;
    const idle = this.#usable.filter(({ streams }) => streams === 0).length;
    if (this.#closed || idle > this.#settings.keepAliveConnections) session.close();
  }

  /** Where HTTP/1.1 is chosen each connection is for one; a session is for all who wait. */
  #openingFailed(line: Line, opening: Opening, failure: OriginFailure): void {
    if (!line.openings.delete(opening)) return;
    if (this.#choosesHttp1) {
      line.waiters.next()?.failed(failure);
      this.#openFor(line);
    } else if (this.#usableFor(line) === 0) this.#failAll(line, failure);
    else this.#stick(line, failure);
  }

  /** Who is patient waits for a place in the sessions there are; meanwhile a further one is tried from time to time. */
  #stick(line: Line, failure: OriginFailure): void {
    this.#unstick(line);
    const redial = this.#clock.after(redialMs, () => {
      line.stuck = null;
      this.#openFor(line);
      this.#stick(line, failure);
    });
    line.stuck = { failure, redial };
    this.#serve(line);
  }

  #unstick(line: Line): void {
    line.stuck?.redial.cancel();
    line.stuck = null;
  }

  /** Nobody waits in it any more. */
  #forget(line: Line): void {
    this.#unstick(line);
    if (this.#lines.get(line.serverName) === line) this.#lines.delete(line.serverName);
  }

  #failAll(line: Line, failure: OriginFailure): void {
    this.#forget(line);
    for (const opening of line.openings) this.#drop(line, opening);
    line.waiters.failAll(failure);
  }

  #giveUp(line: Line, waiter: Waiter): void {
    if (!line.waiters.leave(waiter)) return;
    // The newest go: the others are nearer to being there.
    for (const opening of [...line.openings].slice(this.#wantedFor(line))) this.#drop(line, opening);
    this.#openFor(line);
  }

  #drop(line: Line, opening: Opening): void {
    line.openings.delete(opening);
    opening.cancel();
  }
}
