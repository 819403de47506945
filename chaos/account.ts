import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Arena } from './arena.ts';
import type { Moment, OpenFault } from './recovery.ts';
import type { FailedRequest, Violation } from './verdict.ts';

export interface Story {
  readonly violations: readonly Violation[];
  readonly faults: readonly OpenFault[];
  readonly stalls: readonly OpenFault[];
  readonly failures: readonly FailedRequest[];
  /** What was seen of the world meanwhile. */
  readonly moments: readonly Moment[];
}

/**
 * Keeps what is needed to find a cause, in a folder of its own: the logs of controllers and pods, and an account of the
 * run in the order of time, whose times are also those of the logs (but where a fault has moved their clock).
 */
export async function keepAccount(arena: Arena, story: Story, folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const { logPath } of arena.replicas) await copyFile(logPath, join(folder, basename(logPath)));
  await writeFile(join(folder, 'pods.log'), arena.podLines.join('\n'));
  const told = [
    ...story.violations.map((violation) => `NOT KEPT: ${violation}`),
    ...momentsOf(story).map(({ ms, what }) => {
      const epochMs = Math.round(arena.startedAtMs + ms);
      return `${new Date(epochMs).toISOString()} ${epochMs} ${(ms / 1000).toFixed(3).padStart(9)} s  ${what}`;
    }),
    `Ingresses: ${JSON.stringify(arena.owner.list('Ingress'))}`,
    `Events: ${JSON.stringify(arena.owner.list('Event'))}`,
    ...(await statesOf(arena)),
  ];
  await writeFile(join(folder, 'account.txt'), `${told.join('\n')}\n`);
}

function momentsOf({ faults, stalls, failures, moments }: Story): readonly Moment[] {
  const ofFaults = [...faults, ...stalls].flatMap(
    ({ index, kind, hosts, startMs, hitMs, endMs, wholeMs }) => {
      const name = `fault ${index} ${kind}`;
      return [
        { ms: startMs, what: `${name} of ${hosts.join(' ')} begins` },
        { ms: hitMs, what: `${name} has hit` },
        { ms: endMs, what: `${name} ends` },
        ...[...wholeMs].map(([host, ms]) => ({ ms, what: `${name}: ${host} is whole` })),
      ];
    },
  );
  const ofRequests = failures.map(({ host, startMs, endMs, status, why }) => ({
    ms: startMs,
    what: `${host}: a request begins that fails after ${Math.round(endMs - startMs)} ms (${status}: ${why})`,
  }));
  return [...ofFaults, ...ofRequests, ...moments]
    .filter(({ ms }) => Number.isFinite(ms))
    .sort((one, other) => one.ms - other.ms);
}

/** What the controllers said of themselves last; nothing of those that have ended. */
async function statesOf({ replicas }: Arena): Promise<readonly string[]> {
  const states: string[] = [];
  for (const [index, replica] of replicas.entries()) {
    for (const path of ['/readyz', '/metrics']) {
      const answer = await replica.ops(path);
      states.push(`replica ${index} ${path}: ${answer === null ? 'no answer' : answer.body}`);
    }
  }
  return states;
}
