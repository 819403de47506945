import { setTimeout as sleep } from 'node:timers/promises';
import type { Foreign } from './foreign.ts';
import type { Replica } from './replica.ts';
import type { Secrecy } from './secrecy.ts';
import type { Violation } from './verdict.ts';

const lookEveryMs = 1_000;
/** The liveness probe of a kubelet gives up later than that. */
const healthLimitMs = 10_000;

/** Somebody who looks once a second for as long as the run goes on. */
export interface Lookout {
  /** Resolves when the last look is over. Idempotent. */
  stop(): Promise<void>;
}

/** Asks all the while whether the process lives. */
export function watchOps(replica: Replica, violations: Violation[], patience: number): Lookout {
  return again(async () => {
    const answer = await replica.ops('/healthz', healthLimitMs * patience);
    if (answer !== null && answer.status !== 200) violations.push(`/healthz said ${answer.status}`);
  });
}

/** Whatever these find they keep. */
export function lookAfter(secrecy: Secrecy, foreign: Foreign): Lookout {
  return again(async () => {
    foreign.look();
    await secrecy.look();
  });
}

function again(look: () => Promise<void>): Lookout {
  const over = new AbortController();
  const looking = (async () => {
    while (!over.signal.aborted) {
      await look();
      await sleep(lookEveryMs, null, { signal: over.signal }).catch(() => {});
    }
  })();
  return {
    stop: () => {
      over.abort();
      return looking;
    },
  };
}
