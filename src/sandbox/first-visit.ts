import { get } from 'node:http';
import { text } from 'node:stream/consumers';
import { type Clock, sleep } from '../time/clock.ts';

/** What the front door answered. */
export interface Visit {
  readonly status: number;
  readonly body: string;
}

const pauseMs = 100;
const visitLimitMs = 10_000;

/** One GET through the edge, as a browser would send it for this host. */
function visit(frontUrl: string, host: string, signal: AbortSignal): Promise<Visit> {
  return new Promise((resolve, reject) => {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(visitLimitMs)]);
    const sent = get(frontUrl, { headers: { host }, agent: false, signal: limited });
    sent.once('error', reject);
    sent.once('response', (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
    });
  });
}

/** Visits until the answer is a 200; ends only by that or by the signal, with whose reason it rejects. */
export async function firstVisit(
  frontUrl: string,
  host: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<Visit> {
  while (true) {
    signal.throwIfAborted();
    const answer = await visit(frontUrl, host, signal).catch(() => null);
    if (answer?.status === 200) return answer;
    await sleep(clock, pauseMs, signal);
  }
}
