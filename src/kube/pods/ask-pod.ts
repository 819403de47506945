import { z } from 'zod';
import { type Fault, type FaultCode, FaultError, failed, fault, ok, type Result } from '../../fault.ts';
import type { Clock } from '../../time/clock.ts';
import { deadline } from '../deadline.ts';
import { readText, send } from '../exchange.ts';
import { metricsPort } from './tunnel-deployment.ts';

const limitMs = 3_000;
const maxAnswerBytes = 64 * 1024;

export interface EdgeProblem {
  readonly connIndex: number;
  readonly fault: Fault;
  /** That have failed in its process since there was a connection. */
  readonly attempts: number;
}

/** What a pod says of itself. */
export interface PodAnswer {
  /** Why it lets nobody in, in its own words; null: it does. */
  readonly accessProblem: string | null;
  /** How its last attempt failed to connect to the edge; null while there is a connection, and before the first attempt. */
  readonly edgeProblem: EdgeProblem | null;
}

const edgeCodes = [
  'edge-discovery',
  'edge-dial',
  'edge-tls',
  'edge-timeout',
  'edge-lost',
  'edge-protocol',
  'edge-duplicate',
  'edge-unauthorized',
  'edge-refused',
  'files-exhausted',
] as const satisfies readonly FaultCode[];
const message = z.string().max(1_000);
/** What `workers/pod-health` adds to cloudflared's form of it; a pod of an older version says nothing of the edge. */
const readyShape = z.object({
  accessProblem: message.nullable(),
  edgeProblem: z
    .object({
      connIndex: z.int().nonnegative(),
      fault: z.object({ code: z.enum(edgeCodes), message }),
      // One of an older version does not count.
      attempts: z.int().positive().catch(1),
    })
    .nullish()
    .catch(null),
});

/** As `TunnelPods.ask`: one request to the pod itself, on its `/ready`, which has a body whatever the status. */
export async function askPod(address: string, clock: Clock, signal: AbortSignal): Promise<Result<PodAnswer>> {
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
    const { accessProblem, edgeProblem = null } = parsed.data;
    return ok({ accessProblem, edgeProblem });
  } catch (thrown) {
    return failed('pods-failing', `the pod at ${address}: ${(thrown as Error).message}`);
  } finally {
    limit.release();
  }
}
