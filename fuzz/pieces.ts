import { randomFor } from './random.ts';

/** The same bytes in pieces, copied; where they are cut depends on the bytes alone. */
export function inPieces(bytes: Buffer): Buffer[] {
  return cutAt(bytes, placesIn(bytes));
}

/** Places in ascending order: some dozens anywhere, or every one of a short input. */
export function placesIn(bytes: Buffer): number[] {
  const random = randomFor(bytes);
  if (bytes.length <= 200 && random.oneIn(4)) return Array.from(bytes.keys());
  const places = random.several(30, () => random.below(bytes.length + 1));
  return [...new Set(places)].sort((a, b) => a - b);
}

function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places, bytes.length];
  const pieces = ends.map((end, at) => Buffer.from(bytes.subarray(at === 0 ? 0 : ends[at - 1], end)));
  return pieces.filter((piece) => piece.length > 0);
}
