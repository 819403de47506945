import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../time/clock.ts';
import { HighWater } from '../high-water.ts';
import { Output } from '../output.ts';
import { onChunk } from '../shared-reads.ts';
import { Http2ConnectionError, http2Error } from '../wire/http2-errors.ts';
import { FrameParser } from '../wire/http2-frame-parser.ts';
import { goawayFrame, pingFrame } from '../wire/http2-frames.ts';
import type { Http2Limits } from '../wire/http2-limits.ts';
import { Faults } from './faults.ts';
import { Peer } from './peer.ts';
import type { Role } from './role.ts';
import { Sender } from './sender.ts';
import type { Http2Stream } from './stream.ts';
import { StreamTable } from './stream-table.ts';

/**
 * `peer`: the peer closed. `own`: `close` or `destroy` was called. `error`: why, for the log; `thrown` is the socket's
 * error, if it was that.
 */
export type ConnectionEnd =
  | { readonly by: 'peer' }
  | { readonly by: 'own' }
  | { readonly by: 'error'; readonly message: string; readonly thrown?: Error };

/** Which end of the connection we are. */
export interface Side<S extends Http2Stream, R extends Role<S>> {
  readonly peer: 'client' | 'server';
  /** What is sent at once. */
  readonly opening: Uint8Array;
  role(streams: StreamTable<S>, faults: Faults<S>): R;
}

/** What the owner of a connection hears. */
export interface ConnectionEvents {
  /** The client preface is complete. */
  preface?(): void;
  /** SETTINGS of the peer were applied. */
  settings(): void;
  /** The peer has acknowledged ours. */
  settingsAck?(): void;
  /** A stream is gone. */
  streamGone?(): void;
  /** Nothing is read or framed any more; what is open is told next. At most once. */
  ending?(cause: ConnectionEnd): void;
  /** The socket is gone. Called exactly once, after every handler was told. */
  ended(cause: ConnectionEnd): void;
  /** A callback threw, which is a bug: its stream was reset (INTERNAL_ERROR), the connection goes on. */
  threw(thrown: unknown): void;
}

/** All of ours are the same: they are counted, not measured. */
const ownPing = pingFrame(false, Buffer.alloc(8));

/**
 * Life and death of one HTTP/2 connection, in either role. Owns its socket, which is connected. Nothing is thrown out
 * of a socket callback: what the peer breaks ends the connection with GOAWAY, what a handler breaks ends its stream.
 * What frames mean is `Peer`'s, streams are `StreamTable`'s, what only a client or only a server does is the `Role`'s.
 */
export class Http2Connection<S extends Http2Stream, R extends Role<S>> {
  readonly streams: StreamTable<S>;
  readonly role: R;
  readonly #socket: Socket;
  readonly #events: ConnectionEvents;
  readonly #limits: Http2Limits;
  readonly #clock: Clock;
  readonly #output: Output;
  readonly #peer: Peer<S>;
  readonly #parser: FrameParser;
  #unansweredPings = 0;
  #chunksHeard = 0;
  /** A header block was begun and must be completed. */
  #headerBlock: Timer | null = null;
  /** Which one that is: as nothing comes in between, the count of what came before it. */
  #headerBlockBehind = 0;
  /** The socket was ended, and is to be gone by then. */
  #lingering: Timer | null = null;

  /** `closing`: GOAWAY was sent, streams run out. `ending`: nothing is read or framed any more. */
  #phase: 'open' | 'closing' | 'ending' | 'ended' = 'open';
  #cause: ConnectionEnd | null = null;

  constructor(socket: Socket, side: Side<S, R>, events: ConnectionEvents, limits: Http2Limits, clock: Clock) {
    this.#socket = socket;
    this.#events = events;
    this.#limits = limits;
    this.#clock = clock;
    const monotonicMs = (): number => clock.monotonic();
    const { leastOutputBytes, mostOutputBytes } = limits;
    const highWater = new HighWater(leastOutputBytes, mostOutputBytes, monotonicMs);
    this.#output = new Output(socket, highWater, () => sender.pump());
    const sender = new Sender(this.#output, limits, () => faults.dataSent());
    this.streams = new StreamTable<S>(sender, this.#output, limits, {
      removed: () => this.#streamGone(),
      threw: (thrown) => this.#threw(thrown),
    });
    const faults = new Faults(this.streams, limits, monotonicMs);
    this.role = side.role(this.streams, faults);
    this.#peer = new Peer(this.role, this.streams, faults, this.#output, limits, {
      preface: () => events.preface?.(),
      settings: () => events.settings(),
      settingsAck: () => events.settingsAck?.(),
      pong: () => {
        if (this.#unansweredPings === 0) return;
        this.#unansweredPings -= 1;
        if (this.#unansweredPings === 0) this.streams.pingsAnswered();
      },
    });
    this.#parser = new FrameParser(this.#peer, limits, side.peer);

    // `noDelay` in the options of `tls.connect` does nothing; answers would wait for delayed ACKs.
    socket.setNoDelay(true);
    onChunk(socket, (chunk) => this.#read(chunk));
    // While we end ourselves, what is written may still go out.
    socket.on('end', () => this.#phase !== 'ending' && this.#lost({ by: 'peer' }));
    socket.on('error', (error) => this.#lost({ by: 'error', message: error.message, thrown: error }));
    socket.on('close', () => this.#closed());
    this.#output.frame(side.opening);
    this.#output.flush();
    if (socket.destroyed) queueMicrotask(() => this.#closed());
  }

  /** Lets running streams finish, says GOAWAY for new ones, then ends the socket. Idempotent. */
  close(): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'closing';
    this.#cause ??= { by: 'own' };
    this.role.closing();
    this.#output.frame(goawayFrame(this.role.lastStreamId, http2Error.noError, ''));
    if (this.streams.size === 0) this.#finish();
  }

  /** Ends the socket now; every open stream's handler gets `reset`. Idempotent. */
  destroy(): void {
    this.#lost({ by: 'own' });
  }

  /** The peer broke a rule of the connection: GOAWAY says which, and that is the end. */
  fail(code: number, message: string): void {
    if (this.#over) return;
    this.#cause = { by: 'error', message };
    this.#output.frame(goawayFrame(this.role.lastStreamId, code, message));
    this.#finish();
    this.#linger(this.#limits.lingerMs);
    this.streams.abandon(code);
  }

  /** PINGs of ours that the peer has not acknowledged. */
  get unansweredPings(): number {
    return this.#unansweredPings;
  }

  /** Changes whenever anything comes from the peer. */
  get chunksHeard(): number {
    return this.#chunksHeard;
  }

  /** Changes whenever a header block or DATA comes from the peer. */
  get messageFramesHeard(): number {
    return this.#peer.messageFrames;
  }

  ping(): void {
    if (this.#over) return;
    this.#unansweredPings += 1;
    this.#output.sendAsItLies(ownPing);
  }

  /** Nothing is read or framed any more. */
  get #over(): boolean {
    return this.#phase === 'ending' || this.#phase === 'ended';
  }

  #read(chunk: Buffer): void {
    if (this.#over) return;
    this.#chunksHeard += 1;
    try {
      this.#parser.push(chunk);
    } catch (thrown) {
      if (thrown instanceof Http2ConnectionError) return this.fail(thrown.code, thrown.message);
      this.#threw(thrown);
      return this.fail(http2Error.internalError, 'internal error');
    }
    if (this.#parser.inHeaderBlock || this.#headerBlock !== null) this.#watchHeaderBlock();
    if (this.#output.unsentBytes > this.#limits.maxUnsentBytes) {
      this.fail(http2Error.enhanceYourCalm, 'what is sent is not read');
    }
  }

  #watchHeaderBlock(): void {
    const { inHeaderBlock } = this.#parser;
    const { messageFrames } = this.#peer;
    if (inHeaderBlock && this.#headerBlock !== null && messageFrames === this.#headerBlockBehind) return;
    this.#headerBlock?.cancel();
    this.#headerBlock = null;
    if (this.#over || !inHeaderBlock) return;
    this.#headerBlockBehind = messageFrames;
    this.#headerBlock = this.#clock.after(this.#limits.headerBlockMs, () => {
      this.fail(http2Error.enhanceYourCalm, 'a header block was not completed in time');
    });
  }

  #streamGone(): void {
    this.#events.streamGone?.();
    if (this.#phase === 'closing' && this.streams.size === 0) this.#finish();
  }

  /** Sends what is framed and ends our side. */
  #finish(): void {
    this.#silence();
    this.#output.finish();
    this.#linger(this.#limits.lastBytesMs);
    this.#socket.end(() => this.#linger(this.#limits.lingerMs));
  }

  /** The peer has so long to take what is left, or to end its side. */
  #linger(ms: number): void {
    this.#lingering?.cancel();
    if (this.#phase === 'ended') return;
    this.#lingering = this.#clock.after(ms, () => this.#socket.destroy());
  }

  /** The connection is gone, or is to be gone now. */
  #lost(cause: ConnectionEnd): void {
    this.#cause ??= cause;
    if (this.#phase === 'ended') return;
    this.#silence();
    this.#output.close();
    this.#socket.destroy();
    this.streams.abandon(http2Error.cancel);
  }

  #silence(): void {
    const first = !this.#over;
    if (this.#phase !== 'ended') this.#phase = 'ending';
    this.#parser.stop();
    this.#headerBlock?.cancel();
    this.#headerBlock = null;
    if (first) this.#guarded(() => this.#events.ending?.(this.#end));
  }

  #closed(): void {
    if (this.#phase === 'ended') return;
    this.#silence();
    this.#output.close();
    this.streams.abandon(http2Error.cancel);
    this.#phase = 'ended';
    this.#lingering?.cancel();
    this.#guarded(() => this.#events.ended(this.#end));
  }

  get #end(): ConnectionEnd {
    return this.#cause ?? { by: 'peer' };
  }

  #guarded(call: () => void): void {
    try {
      call();
    } catch (thrown) {
      this.#threw(thrown);
    }
  }

  /** Reporting a bug must not become another one. */
  #threw(thrown: unknown): void {
    try {
      this.#events.threw(thrown);
    } catch {
      // Whoever hears of bugs has one: there is nobody left to tell.
    }
  }
}
