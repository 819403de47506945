import type { Decoded } from '../../src/tunnel/wire/malformed.ts';

/** The value of a decoding that must succeed here. */
export function valueIn<T>(result: Decoded<T>): T {
  if (!result.ok) throw new Error(`was to be decoded: ${result.problem}`);
  return result.value;
}
