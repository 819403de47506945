import { Random } from './random.ts';

/** One decoder under attack. Inputs are bytes, so that each can be kept in a file and given again. */
export interface FuzzTarget {
  /** As in `--target`. */
  readonly name: string;
  /** An input: well-formed, or nearly so. Depends on nothing but `random`. */
  make(random: Random): Buffer;
  /** Throws when the decoder does what it must not. Depends on nothing but `input`. */
  check(input: Buffer): void | Promise<void>;
}

/** Case `index` of a run: the same input for the same seed on every machine. */
export function inputOf(target: FuzzTarget, seed: number, index: number): Buffer {
  return target.make(new Random(seed, index));
}
