import type { Readable, Writable } from 'node:stream';

const piece = Buffer.alloc(64 << 10, 'warp ');

/** Writes so many bytes as fast as they are taken, then ends; stops when the stream is gone. */
export function pour(into: Writable, bytes: number, tell: (poured: number) => void = () => {}): void {
  let poured = 0;
  const more = (): void => {
    while (poured < bytes && !into.destroyed) {
      poured += piece.length;
      tell(poured);
      if (!into.write(piece)) return void into.once('drain', more);
    }
    if (!into.destroyed) into.end();
  };
  into.on('error', () => {});
  more();
}

/** Reads to the end; the number of bytes. */
export async function drained(stream: Readable): Promise<number> {
  let bytes = 0;
  for await (const chunk of stream) bytes += (chunk as Buffer).length;
  return bytes;
}
