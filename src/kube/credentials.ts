import type { RequestOptions } from 'node:https';
import { FaultError, fault } from '../fault.ts';
import type { Clock } from '../time/clock.ts';
import type { KubeAccess } from './access.ts';

/** Who does not answer for so long is asked anew by the next. */
const patienceMs = 30_000;

/**
 * The options of `access` for each request, read once for all that ask meanwhile: a credential plugin is a process, and
 * when its answer expires hundreds of requests may want the next. Rejects with a `FaultError`: a token file that is
 * missing or a plugin that fails is not a bug of ours.
 */
export function sharedCredentials(access: KubeAccess, clock: Clock): () => Promise<RequestOptions> {
  let reading: { readonly answer: Promise<RequestOptions>; readonly sinceMs: number } | null = null;
  return () => {
    const nowMs = clock.monotonic();
    if (reading !== null && nowMs - reading.sinceMs < patienceMs) return reading.answer;
    const end = (): void => {
      if (reading === mine) reading = null;
    };
    const mine = { answer: read(access).finally(end), sinceMs: nowMs };
    reading = mine;
    return mine.answer;
  };
}

async function read(access: KubeAccess): Promise<RequestOptions> {
  try {
    return await access.options();
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    throw new FaultError(
      fault('kube-forbidden', `no credentials for the API server: ${message.slice(0, 300)}`),
    );
  }
}
