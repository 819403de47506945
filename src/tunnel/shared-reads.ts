import type { OnReadOpts, Socket } from 'node:net';
import { slabBytes } from './slabs.ts';

/** What one read of a socket takes at most: as much as is gathered for a write. */
const readBytes = slabBytes;

/**
 * One for all sockets of the thread: a read and what is done with it happen in one go, before the next read.
 * Otherwise Node.js allocates 64 KiB outside of V8's heap for each read of a socket, and V8 answers a gigabyte a
 * second of such memory with one full collection after the other.
 */
const shared = Buffer.allocUnsafeSlow(readBytes);

type Listener = (chunk: Buffer) => void;

const readsOf = new WeakMap<Socket, Reads>();

/** Options of `net.connect` and `tls.connect`. */
export interface SharedReads {
  readonly onread: OnReadOpts;
}

/** Opens a socket whose reads go into the shared buffer. It emits no `data`: its owner calls `onChunk`. */
export function withSharedReads<S extends Socket>(connect: (options: SharedReads) => S): S {
  const reads = new Reads();
  const socket = connect({ onread: reads });
  readsOf.set(socket, reads);
  return socket;
}

/** `listener` gets what arrives on any socket, however it was opened. A chunk is valid during the call only. */
export function onChunk(socket: Socket, listener: Listener): void {
  const reads = readsOf.get(socket);
  if (reads === undefined) socket.on('data', listener);
  else reads.listenTo(listener);
}

class Reads implements OnReadOpts {
  readonly buffer = shared;
  /** Whoever connects a socket listens in the same turn, in which nothing has been read yet. */
  #listener: Listener = () => {};

  readonly callback = (bytes: number): boolean => {
    this.#listener(bytes === readBytes ? shared : shared.subarray(0, bytes));
    return true;
  };

  listenTo(listener: Listener): void {
    this.#listener = listener;
  }
}
