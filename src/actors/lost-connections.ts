import type { Fault, FaultCode } from '../fault.ts';
import type { ActorLog } from './ports.ts';

export interface LostConnection {
  readonly host: string;
  readonly connIndex: number;
  readonly fault: Fault;
}

/** What the runner says once for all connections that it concerns. */
export const saidByRunner: ReadonlySet<FaultCode> = new Set([
  'files-exhausted',
  'thread-exited',
  'thread-threw',
  'thread-out-of-memory',
  'thread-unresponsive',
]);

/** Says what was lost at about the same time: of each cause one line, however many thousands they are. */
export function sayLost(log: ActorLog, lost: readonly LostConnection[]): void {
  for (const [code, alike] of Map.groupBy(lost, ({ fault }) => fault.code)) {
    const [first] = alike;
    if (first === undefined) continue;
    const isOne = alike.length === 1;
    for (const each of alike) sayOne(log, isOne ? 'warn' : 'debug', each);
    if (isOne) continue;
    const tunnels = new Set(alike.map(({ host }) => host)).size;
    const whose = tunnels === 1 ? { host: first.host } : { tunnels };
    const detail = first.fault.message;
    log.warn({ ...whose, connections: alike.length, code, detail }, 'edge connections lost');
  }
}

export function sayOne(
  log: ActorLog,
  level: 'warn' | 'debug',
  { host, connIndex, fault }: LostConnection,
): void {
  log[level]({ host, connIndex, code: fault.code, detail: fault.message }, 'edge connection lost');
}
