import { z } from 'zod';
import { FaultError, failed, fault, ok, type Result } from '../../fault.ts';
import type { Clock } from '../../time/clock.ts';
import { deadline } from '../deadline.ts';
import { readText, send } from '../exchange.ts';
import { metricsPort } from './tunnel-deployment.ts';

const limitMs = 3_000;
const maxAnswerBytes = 64 * 1024;

/** What `workers/pod-health` adds to cloudflared's form of it. */
const readyShape = z.object({ accessProblem: z.string().max(1_000).nullable() });

/** As `TunnelPods.ask`: one request to the pod itself, on its `/ready`, which has a body whatever the status. */
export async function askPod(
  address: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<Result<string | null>> {
  const late = new FaultError(fault('pods-failing', `the pod at ${address} does not answer`));
  const limit = deadline(clock, limitMs, signal, late);
  try {
    const target = {
      protocol: 'http:',
      host: address,
      port: metricsPort,
      path: '/ready',
      agent: false,
    } as const;
    const response = await send(target, undefined, limit.signal);
    const parsed = readyShape.safeParse(JSON.parse(await readText(response, maxAnswerBytes)));
    if (!parsed.success) return failed('pods-failing', `the pod at ${address} answers something else`);
    return ok(parsed.data.accessProblem);
  } catch (thrown) {
    return failed('pods-failing', `the pod at ${address}: ${(thrown as Error).message}`);
  } finally {
    limit.release();
  }
}
