import type { Output } from '../output.ts';
import { ReceiveWindow } from '../wire/flow-window.ts';
import { setting, settingsFrame } from '../wire/http2-frames.ts';
import type { Http2Limits } from '../wire/http2-limits.ts';

/** Parts of `maxHeldBytes` that are held when streams get narrow windows, and wide ones again. */
const narrowAt = 1 / 4;
const wideAt = 1 / 16;

/**
 * How large the receive windows of the streams of one connection are: wide, until those whose handlers are paused hold
 * much. Then all become narrow (RFC 9113, section 6.9.2): so many as hold a wide window each would, together, be all
 * that may be held, and the connection's window, with it every other stream, would wait for them.
 */
export class StreamWindows {
  readonly #output: Output;
  readonly #limits: Http2Limits;
  readonly #resize: (change: number) => void;
  /** Of a stream that begins now. */
  #bytes: number;
  /** What our last SETTINGS said. */
  #announcedBytes: number;
  /** What each of our SETTINGS takes away, of those that the peer has not acknowledged. The first are our opening. */
  readonly #unacknowledged = [0];
  #heldBytes = 0;

  /** `resize`: the windows of all open streams change. */
  constructor(output: Output, limits: Http2Limits, resize: (change: number) => void) {
    this.#output = output;
    this.#limits = limits;
    this.#bytes = limits.streamWindowBytes;
    this.#announcedBytes = this.#bytes;
    this.#resize = resize;
  }

  /** So much is held that the connection's window waits. */
  get exhausted(): boolean {
    return this.#heldBytes > this.#limits.maxHeldBytes;
  }

  open(): ReceiveWindow {
    return new ReceiveWindow(this.#bytes);
  }

  /** Paused handlers were given these bytes. */
  hold(bytes: number): void {
    this.#heldBytes += bytes;
    if (this.#heldBytes > this.#limits.maxHeldBytes * narrowAt) {
      this.#announce(Math.min(this.#limits.narrowWindowBytes, this.#limits.streamWindowBytes));
    }
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes;
    if (this.#heldBytes <= this.#limits.maxHeldBytes * wideAt) this.#announce(this.#limits.streamWindowBytes);
  }

  /** The peer has acknowledged the oldest of our SETTINGS that it had not: what comes from here on is sent by them. */
  acknowledged(): void {
    this.#change(this.#unacknowledged.shift() ?? 0);
  }

  /** Wider windows are the peer's at once: it might use them before we read that it has. */
  #announce(bytes: number): void {
    const change = bytes - this.#announcedBytes;
    if (change === 0) return;
    this.#announcedBytes = bytes;
    this.#unacknowledged.push(Math.min(0, change));
    this.#output.frame(settingsFrame([[setting.initialWindowSize, bytes]]));
    this.#change(Math.max(0, change));
  }

  #change(change: number): void {
    if (change === 0) return;
    this.#bytes += change;
    this.#resize(change);
  }
}
