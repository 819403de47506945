import type { Exchange } from '../http/exchange.ts';
import { type KubeObject, objectAt, objectsAt, textAt } from '../json.ts';
import type { LogLine, PodLogs } from '../pod-logs.ts';
import { refuse } from '../status.ts';

/** `kubectl logs`: what one container of a pod has written, and with `follow` what it goes on to write. */
export function showLog(exchange: Exchange, pod: KubeObject, logs: PodLogs, signal: AbortSignal): void {
  const { query, response } = exchange;
  const { uid } = pod.metadata;
  const container = containerIn(pod, query.get('container') ?? '');
  const textOf = ({ text, atMs }: LogLine): string =>
    isSet(query.get('timestamps')) ? `${new Date(atMs).toISOString()} ${text}\n` : `${text}\n`;
  const isOf = (line: LogLine): boolean => line.container === container;
  const written = logs.read(uid).filter(isOf);
  const tail = Number(query.get('tailLines') ?? written.length);
  const shown = written.slice(Math.max(0, written.length - tail));
  response.writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'no-cache, private' });
  response.write(shown.map(textOf).join(''));
  if (!isSet(query.get('follow'))) return void response.end();
  response.flushHeaders();
  const stop = logs.follow(uid, (line) => {
    if (line === null) response.end();
    else if (isOf(line)) response.write(textOf(line));
  });
  response.once('close', stop);
  signal.addEventListener('abort', () => response.destroy(), { once: true });
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

function isSet(value: string | null): boolean {
  return value === 'true' || value === '1';
}
