import type { Socket } from 'node:net';
import type { Link } from './wire-link.ts';

/** A TCP connection that comes to the edge as it is: with no relay on its way it can be cut, and nothing else. */
export class StraightLink implements Link {
  readonly remoteAddress: string;
  readonly #outer: Socket;

  /** `ended` once the socket, which stays its receiver's, is closed. */
  constructor(outer: Socket, ended: () => void) {
    this.#outer = outer;
    this.remoteAddress = outer.remoteAddress ?? '';
    outer.once('close', ended);
  }

  delay(delayMs: number): void {
    if (delayMs > 0) throw new Error('a straight wire cannot hold anything back');
  }

  silence(): void {
    throw new Error('a straight wire cannot be silenced');
  }

  restore(): void {}

  cut(): void {
    this.#outer.resetAndDestroy();
  }
}
