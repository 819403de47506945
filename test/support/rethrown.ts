/** A bug in a handler, out of the session that catches it: it fails the test. */
export function rethrown(thrown: unknown): void {
  setImmediate(() => {
    throw thrown;
  });
}
