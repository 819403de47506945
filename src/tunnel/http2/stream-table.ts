import type { Output } from '../output.ts';
import { ReceiveWindow } from '../wire/flow-window.ts';
import { http2Error } from '../wire/http2-errors.ts';
import { resetFrame, windowUpdateFrame } from '../wire/http2-frames.ts';
import type { Http2Limits } from '../wire/http2-limits.ts';
import { StreamSlots } from '../wire/stream-slots.ts';
import type { Sender, SendingHalf } from './sender.ts';
import type { Http2Stream, StreamHost } from './stream.ts';
import { StreamWindows } from './stream-windows.ts';

/** What the connection hears of its streams. */
export interface StreamTableEvents {
  /** One is gone; if it was not by its handler, that hears of it next. */
  removed(): void;
  /** A callback threw, which is a bug. */
  threw(thrown: unknown): void;
}

/**
 * The open streams of one connection and the receive windows. The rule for windows: what was handed to a handler
 * is given back to the connection at once, and to its stream unless the handler has paused it. So a paused
 * stream holds back nobody else, and can be sent one stream window at most: a narrow one if many are paused
 * (`StreamWindows`). Over all streams, paused handlers are given `maxHeldBytes` at most; from there on the
 * connection's window waits for them.
 */
export class StreamTable<S extends Http2Stream> implements StreamHost {
  readonly sender: Sender;
  readonly #output: Output;
  readonly #events: StreamTableEvents;
  readonly #streams = new StreamSlots<S>();
  /**
   * Resets of ours that the peer may not have seen yet: its frames on these streams are no fault. As many as may be open,
   * because all may be reset at once, each with a window of DATA on its way; and those before them, until there are as
   * many again, which costs less than to look for the oldest each time, or until the peer must have seen them.
   */
  #resets = new Set<number>();
  #olderResets: ReadonlySet<number> = new Set();
  readonly #mostResets: number;
  readonly #window: ReceiveWindow;
  readonly #streamWindows: StreamWindows;
  #headBytes = 0;

  constructor(sender: Sender, output: Output, limits: Http2Limits, events: StreamTableEvents) {
    this.sender = sender;
    this.#output = output;
    this.#events = events;
    this.#mostResets = limits.maxConcurrentStreams;
    this.#window = new ReceiveWindow(limits.connectionWindowBytes);
    this.#streamWindows = new StreamWindows(output, limits, (change) => this.#resize(change));
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Of the heads of all open streams. */
  get headBytes(): number {
    return this.#headBytes;
  }

  get(id: number): S | undefined {
    return this.#streams.get(id);
  }

  *sendingHalves(): Iterable<SendingHalf> {
    for (const stream of this.#streams.values()) yield stream.sending;
  }

  /** A receive window for the peer's half of a new stream. */
  newWindow(): ReceiveWindow {
    return this.#streamWindows.open();
  }

  /** The peer has acknowledged our SETTINGS, the oldest that it had not. */
  settingsAcknowledged(): void {
    this.#streamWindows.acknowledged();
  }

  add(stream: S): void {
    this.#streams.set(stream.id, stream);
    this.#headBytes += stream.headBytes;
  }

  /** RST_STREAM for a stream that is not, or not any more, in the table. */
  refuse(id: number, code: number): void {
    this.#output.frame(resetFrame(id, code));
    this.#remember(id);
  }

  /** Whether we reset this stream lately. */
  wasReset(id: number): boolean {
    return this.#resets.has(id) || this.#olderResets.has(id);
  }

  /** No PING is unanswered: what was reset before the last such moment, and so before these were sent, the peer has seen. */
  pingsAnswered(): void {
    if (this.#resets.size > 0 || this.#olderResets.size > 0) this.#nextGeneration();
  }

  /** The peer reset it. */
  resetByPeer(stream: Http2Stream, code: number): void {
    this.#remove(stream);
    stream.tellReset(code);
  }

  /** The peer reset it behind the end of its message. */
  endByReset(stream: Http2Stream): void {
    this.#remove(stream);
    stream.endByPeer([]);
  }

  /**
   * The peer has said that it takes no notice of these streams (RFC 9113, section 6.8). One that it has answered by then
   * goes on: whatever it says, it has looked at that one, and it may finish it.
   */
  abandonAbove(lastStreamId: number, code: number): void {
    for (const stream of this.#streams.values()) {
      if (stream.id <= lastStreamId || stream.closed || stream.headReceived) continue;
      this.#remember(stream.id);
      this.resetByPeer(stream, code);
    }
  }

  /** The peer broke a rule of this stream. */
  fault(stream: Http2Stream, code: number, why: string): void {
    this.resetStream(stream, code);
    stream.tellReset(code, why);
  }

  resetStream(stream: Http2Stream, code: number): void {
    if (stream.closed) return;
    this.#output.frame(resetFrame(stream.id, code));
    this.#remember(stream.id);
    this.#remove(stream);
  }

  streamFinished(stream: Http2Stream): void {
    if (!stream.closed) this.#remove(stream);
  }

  handlerThrew(stream: Http2Stream, thrown: unknown): void {
    this.resetStream(stream, http2Error.internalError);
    this.#events.threw(thrown);
  }

  /** Every stream is gone; their handlers hear `code`. */
  abandon(code: number): void {
    for (const stream of [...this.#streams.values()]) {
      // A handler may end other streams while it is told.
      if (stream.closed) continue;
      this.#remove(stream);
      stream.tellReset(code);
    }
  }

  /** False when the peer sent more than the connection's window. */
  receive(bytes: number): boolean {
    return this.#window.receive(bytes);
  }

  /** Bytes of the connection's window that need no more room here; told after `taken`, which may hold them. */
  consumed(bytes: number): void {
    this.#window.consume(bytes);
    this.#announceConnection();
  }

  /** Body bytes that were given to the stream's handler, or padding. */
  taken(stream: Http2Stream, bytes: number): void {
    if (stream.closed) return;
    if (stream.paused) {
      stream.heldBytes += bytes;
      this.#streamWindows.hold(bytes);
    } else {
      stream.receiving!.consume(bytes);
      this.#announceStream(stream);
    }
  }

  streamResumed(stream: Http2Stream): void {
    const bytes = stream.heldBytes;
    if (bytes === 0) return;
    this.#release(stream);
    stream.receiving!.consume(bytes);
    this.#announceStream(stream);
  }

  #resize(change: number): void {
    for (const stream of this.#streams.values()) {
      stream.receiving?.resize(change);
      // Of what was consumed less may be enough to tell now, and the peer may have nothing else.
      this.#announceStream(stream);
    }
  }

  #announceStream(stream: Http2Stream): void {
    if (stream.peerEnded || stream.receiving === null) return;
    const increment = stream.receiving.takeIncrement();
    if (increment > 0) this.#output.frame(windowUpdateFrame(stream.id, increment));
  }

  #announceConnection(): void {
    if (this.#streamWindows.exhausted) return;
    const increment = this.#window.takeIncrement();
    if (increment > 0) this.#output.frame(windowUpdateFrame(0, increment));
  }

  #release(stream: Http2Stream): void {
    if (stream.heldBytes === 0) return;
    this.#streamWindows.release(stream.heldBytes);
    stream.heldBytes = 0;
    this.#announceConnection();
  }

  #remove(stream: Http2Stream): void {
    stream.closed = true;
    this.#streams.delete(stream.id);
    this.#headBytes -= stream.headBytes;
    this.sender.drop(stream.sending);
    this.#release(stream);
    this.#events.removed();
  }

  #remember(id: number): void {
    this.#resets.add(id);
    if (this.#resets.size >= this.#mostResets) this.#nextGeneration();
  }

  #nextGeneration(): void {
    this.#olderResets = this.#resets;
    this.#resets = new Set();
  }
}
