import type { Clock } from '../../../time/clock.ts';
import type { Exchange } from '../http/exchange.ts';
import { whole } from '../http/options.ts';
import { type KubeObject, numberAt, objectAt, objectsAt, textAt } from '../json.ts';
import type { LogLine, PodLogs } from '../pod-logs.ts';
import { refuse } from '../status.ts';

/** `kubectl logs`: what one container of a pod has written, and with `follow` what it goes on to write. */
export function showLog(
  exchange: Exchange,
  pod: KubeObject,
  { logs, clock }: { readonly logs: PodLogs; readonly clock: Clock },
  signal: AbortSignal,
): void {
  const { query, response } = exchange;
  const { uid } = pod.metadata;
  const container = containerIn(pod, query.get('container') ?? '');
  // What all runs of a container wrote is kept as one.
  if (isSet(query.get('previous')) && restartsOf(pod, container) === 0) {
    const where = `"${container}" in pod "${pod.metadata.name}"`;
    throw refuse.badRequest(`previous terminated container ${where} not found`);
  }
  const textOf = ({ text, atMs }: LogLine): string =>
    isSet(query.get('timestamps')) ? `${new Date(atMs).toISOString()} ${text}\n` : `${text}\n`;
  const sinceMs = sinceIn(query, clock.now());
  const isOf = (line: LogLine): boolean => line.container === container && line.atMs >= sinceMs;
  const written = logs.read(uid).filter(isOf);
  const tail = whole(query, 'tailLines') ?? written.length;
  const maxBytes = whole(query, 'limitBytes') ?? Number.POSITIVE_INFINITY;
  const shown = written.slice(Math.max(0, written.length - tail));
  response.writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'no-cache, private' });
  const text = Buffer.from(shown.map(textOf).join(''));
  response.write(text.subarray(0, maxBytes));
  if (!isSet(query.get('follow')) || text.length >= maxBytes) return void response.end();
  response.flushHeaders();
  const stop = logs.follow(uid, (line) => {
    if (line === null) response.end();
    else if (isOf(line)) response.write(textOf(line));
  });
  response.once('close', stop);
  signal.addEventListener('abort', () => response.destroy(), { once: true });
}

/** Nothing before this is shown. */
function sinceIn(query: URLSearchParams, nowMs: number): number {
  const seconds = whole(query, 'sinceSeconds');
  if (seconds !== null) return nowMs - seconds * 1000;
  const time = query.get('sinceTime');
  return time === null ? Number.NEGATIVE_INFINITY : Date.parse(time);
}

/** The one that is asked for, or the only one there is. In the words of a kubelet when there is nothing to read. */
function containerIn(pod: KubeObject, asked: string): string {
  const { name } = pod.metadata;
  const names = objectsAt(pod, 'spec', 'containers').map((each) => textAt(each, 'name'));
  const [first = '', ...others] = names;
  if (asked === '' && others.length > 0) {
    throw refuse.badRequest(
      `a container name must be specified for pod ${name}, choose one of: [${names.join(' ')}]`,
    );
  }
  const container = asked === '' ? first : asked;
  if (!names.includes(container))
    throw refuse.badRequest(`container ${container} is not valid for pod ${name}`);
  const status = objectsAt(pod, 'status', 'containerStatuses').find((each) => each.name === container);
  const waiting = textAt(objectAt(status ?? {}, 'state', 'waiting'), 'reason');
  if (status === undefined || (waiting !== '' && waiting !== 'CrashLoopBackOff')) {
    const why = waiting === '' ? 'ContainerCreating' : waiting;
    throw refuse.badRequest(`container "${container}" in pod "${name}" is waiting to start: ${why}`);
  }
  return container;
}

function restartsOf(pod: KubeObject, container: string): number {
  const status = objectsAt(pod, 'status', 'containerStatuses').find((each) => each.name === container);
  return numberAt(status, 'restartCount') ?? 0;
}

function isSet(value: string | null): boolean {
  return value === 'true' || value === '1';
}
