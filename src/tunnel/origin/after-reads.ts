import type { Dial } from './origin-socket.ts';

/**
 * Calls `then` once everything has been read that this thread's sockets hold by now, the ends of connections too: the
 * event loop reads what it has found, runs the immediates, and looks anew; so a whole look lies between two of them.
 */
export function afterReads(then: () => void): Dial {
  let immediate = setImmediate(() => {
    immediate = setImmediate(then);
  });
  return { cancel: () => clearImmediate(immediate) };
}
