/**
 * What the decoders of this folder throw among themselves when bytes are not what the format says. Functions
 * that others call catch it with `decoded`, so that malformed input is a value outside.
 */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
}

export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  /** What was wrong and where; never holds a value from the input that could be a secret. */
  | { readonly ok: false; readonly problem: string };

/** Runs a decoder: malformed input becomes a value, everything else stays thrown (a bug). */
export function decoded<T>(decode: () => T): Decoded<T> {
  try {
    return { ok: true, value: decode() };
  } catch (error) {
    if (error instanceof MalformedError) return { ok: false, problem: error.message };
    throw error;
  }
}
