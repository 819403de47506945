import type { Socket } from 'node:net';
import { type Clock, systemClock, type Timer } from '../time/clock.ts';
import type { EdgeSession, EdgeSessionEvents, SessionEnd } from './edge-session.ts';
import { HighWater } from './high-water.ts';
import { Peer } from './http2-peer.ts';
import { Sender } from './http2-sender.ts';
import { StreamTable } from './http2-stream-table.ts';
import { Output } from './output.ts';
import { onChunk } from './shared-reads.ts';
import { defaultWindowBytes } from './wire/flow-window.ts';
import { Http2ConnectionError, http2Error } from './wire/http2-errors.ts';
import { FrameParser } from './wire/http2-frame-parser.ts';
import { goawayFrame, pingFrame, setting, settingsFrame, windowUpdateFrame } from './wire/http2-frames.ts';
import { defaultHttp2Limits, type Http2Limits } from './wire/http2-limits.ts';

export interface EdgeSessionOptions {
  readonly clock?: Clock;
  readonly limits?: Partial<Http2Limits>;
}

/**
 * Speaks HTTP/2 as the server on `socket`, which is connected and from now on owned by the session. Sends its
 * SETTINGS at once. Nothing is thrown out of a socket callback: what the peer breaks ends the session with
 * GOAWAY, what a handler breaks ends its stream.
 */
export function createEdgeSession(
  socket: Socket,
  events: EdgeSessionEvents,
  options: EdgeSessionOptions = {},
): EdgeSession {
  const limits = { ...defaultHttp2Limits, ...options.limits };
  return new Session(socket, events, limits, options.clock ?? systemClock);
}

/** All of ours are the same: they are counted, not measured. */
const ownPing = pingFrame(false, Buffer.alloc(8));

/** Life and death of one connection; what its frames mean is `Peer`'s, its streams are `StreamTable`'s. */
class Session implements EdgeSession {
  readonly #socket: Socket;
  readonly #events: EdgeSessionEvents;
  readonly #limits: Http2Limits;
  readonly #clock: Clock;
  readonly #output: Output;
  readonly #streams: StreamTable;
  readonly #peer: Peer;
  readonly #parser: FrameParser;
  #unansweredPings = 0;
  #chunksHeard = 0;

  /** The handshake's next step is due; null when it is done. */
  #handshake: Timer | null = null;
  #handshakeDone = false;
  /** A header block was begun and must be completed. */
  #headerBlock: Timer | null = null;
  #lingering: Timer | null = null;

  /** `closing`: GOAWAY was sent, streams run out. `ending`: nothing is read or framed any more. */
  #phase: 'open' | 'closing' | 'ending' | 'ended' = 'open';
  #cause: SessionEnd | null = null;

  constructor(socket: Socket, events: EdgeSessionEvents, limits: Http2Limits, clock: Clock) {
    this.#socket = socket;
    this.#events = events;
    this.#limits = limits;
    this.#clock = clock;
    const { leastOutputBytes, mostOutputBytes } = limits;
    const highWater = new HighWater(leastOutputBytes, mostOutputBytes, () => clock.monotonic());
    this.#output = new Output(socket, highWater, () => sender.pump());
    const sender = new Sender(this.#output, limits, () => this.#peer.dataSent());
    this.#streams = new StreamTable(sender, this.#output, limits, events, () => this.#lastStreamGone());
    this.#peer = new Peer(this.#streams, this.#output, limits, () => clock.monotonic(), {
      preface: () => this.#await(limits.firstSettingsMs, http2Error.settingsTimeout, 'no SETTINGS in time'),
      settings: () => this.#settingsCame(),
      settingsAck: () => this.#handshakeEnds(),
      pong: () => {
        this.#unansweredPings = Math.max(0, this.#unansweredPings - 1);
      },
      goaway: (code) => this.#guarded(() => events.goaway(code)),
    });
    this.#parser = new FrameParser(this.#peer, limits);

    // `noDelay` in the options of `tls.connect` does nothing; answers would wait for delayed ACKs.
    socket.setNoDelay(true);
    onChunk(socket, (chunk) => this.#read(chunk));
    // While we end ourselves, what is written may still go out.
    socket.on('end', () => this.#phase !== 'ending' && this.#lost({ by: 'peer' }));
    socket.on('error', (error) => this.#lost({ by: 'error', message: error.message }));
    socket.on('close', () => this.#closed());
    this.#output.frame(ownSettings(limits));
    this.#output.frame(windowUpdateFrame(0, limits.connectionWindowBytes - defaultWindowBytes));
    this.#output.flush();
    this.#await(limits.prefaceMs, http2Error.protocolError, 'no client preface in time');
    if (socket.destroyed) queueMicrotask(() => this.#closed());
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  close(): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'closing';
    this.#cause ??= { by: 'own' };
    this.#peer.refuseNewStreams();
    this.#output.frame(goawayFrame(this.#peer.lastStreamId, http2Error.noError, ''));
    if (this.#streams.size === 0) this.#finish();
  }

  destroy(): void {
    this.#lost({ by: 'own' });
  }

  get unansweredPings(): number {
    return this.#unansweredPings;
  }

  get chunksHeard(): number {
    return this.#chunksHeard;
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
      if (thrown instanceof Http2ConnectionError) return this.#fail(thrown.code, thrown.message);
      this.#streams.report(thrown);
      return this.#fail(http2Error.internalError, 'internal error');
    }
    if (this.#parser.inHeaderBlock !== (this.#headerBlock !== null)) this.#watchHeaderBlock();
    if (this.#output.unsentBytes > this.#limits.maxUnsentBytes) {
      this.#fail(http2Error.enhanceYourCalm, 'answers are not read');
    }
  }

  #watchHeaderBlock(): void {
    this.#headerBlock?.cancel();
    this.#headerBlock = null;
    if (this.#over || !this.#parser.inHeaderBlock) return;
    this.#headerBlock = this.#clock.after(this.#limits.headerBlockMs, () => {
      this.#fail(http2Error.enhanceYourCalm, 'a header block was not completed in time');
    });
  }

  #await(ms: number, code: number, missing: string): void {
    if (this.#handshakeDone) return;
    this.#handshake?.cancel();
    this.#handshake = this.#clock.after(ms, () => this.#fail(code, missing));
  }

  #settingsCame(): void {
    this.#await(this.#limits.settingsAckMs, http2Error.settingsTimeout, 'SETTINGS were not acknowledged');
  }

  #handshakeEnds(): void {
    this.#handshakeDone = true;
    this.#handshake?.cancel();
    this.#handshake = null;
  }

  #lastStreamGone(): void {
    if (this.#phase === 'closing') this.#finish();
  }

  /** The peer broke a rule of the connection: GOAWAY says which, and that is the end. */
  #fail(code: number, message: string): void {
    if (this.#over) return;
    this.#cause = { by: 'error', message };
    this.#output.frame(goawayFrame(this.#peer.lastStreamId, code, message));
    this.#finish();
    this.#linger();
    this.#streams.abandon(code);
  }

  /** Sends what is framed and ends our side. */
  #finish(): void {
    this.#silence();
    this.#output.finish();
    this.#socket.end(() => this.#linger());
  }

  /** The peer has a moment to end its side. */
  #linger(): void {
    if (this.#lingering !== null || this.#phase === 'ended') return;
    this.#lingering = this.#clock.after(this.#limits.lingerMs, () => this.#socket.destroy());
  }

  /** The connection is gone, or is to be gone now. */
  #lost(cause: SessionEnd): void {
    this.#cause ??= cause;
    if (this.#phase === 'ended') return;
    this.#silence();
    this.#output.close();
    this.#socket.destroy();
    this.#streams.abandon(http2Error.cancel);
  }

  #silence(): void {
    this.#phase = 'ending';
    this.#parser.stop();
    this.#handshakeEnds();
    this.#headerBlock?.cancel();
    this.#headerBlock = null;
  }

  #closed(): void {
    if (this.#phase === 'ended') return;
    this.#silence();
    this.#output.close();
    this.#streams.abandon(http2Error.cancel);
    this.#phase = 'ended';
    this.#lingering?.cancel();
    const cause = this.#cause ?? { by: 'peer' };
    this.#guarded(() => this.#events.ended(cause));
  }

  #guarded(call: () => void): void {
    try {
      call();
    } catch (thrown) {
      this.#streams.report(thrown);
    }
  }
}

/** In cloudflared's order and with its values, save the number of streams (protocol page, section 5). */
function ownSettings(limits: Http2Limits): Buffer {
  return settingsFrame([
    [setting.maxFrameSize, limits.maxFrameBytes],
    [setting.maxConcurrentStreams, limits.maxConcurrentStreams],
    [setting.maxHeaderListSize, limits.maxHeaderListBytes],
    [setting.headerTableSize, limits.headerTableBytes],
    [setting.initialWindowSize, limits.streamWindowBytes],
    [setting.noRfc7540Priorities, 1],
  ]);
}
