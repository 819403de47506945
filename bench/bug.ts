/** Out of the session, which catches what its handlers throw: it ends the bench. */
export function endWithBug(thrown: unknown): void {
  setImmediate(() => {
    throw thrown;
  });
}
