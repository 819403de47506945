import { createLog, type Logger } from '../../src/log.ts';

/** A real logger whose lines are kept for the test to look at, as objects. */
export function keptLog(): { readonly log: Logger; readonly lines: readonly Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const log = createLog(
    { level: 'debug', format: 'json' },
    { write: (line: string) => void lines.push(JSON.parse(line)) },
  );
  return { log, lines };
}
