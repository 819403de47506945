import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';

/** The controller's log: all of it in a file, warnings and worse also on the terminal. */
export interface ControllerLog {
  readonly path: string;
  line(text: string): void;
  close(): Promise<void>;
}

const shownLevels = new Set(['warn', 'error', 'fatal']);
/** Told by the frame of a line, or of no use to a reader. */
const hiddenFields = new Set(['level', 'time', 'msg', 'pid', 'hostname']);

export function openControllerLog(path: string, show: (text: string) => void): ControllerLog {
  const file = createWriteStream(path, { flags: 'a', mode: 0o600 });
  file.on('error', (error) => show(`the controller's log cannot be written: ${error.message}`));
  return {
    path,
    line(text) {
      file.write(`${text}\n`);
      const shown = terminalLine(text);
      if (shown !== null) show(shown);
    },
    async close() {
      file.end();
      await finished(file).catch(() => {});
    },
  };
}

/** Null for what is in the file only. A line that is no log line comes from Node.js itself: a crash. */
export function terminalLine(text: string): string | null {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(text);
  } catch {
    return text;
  }
  if (typeof fields !== 'object' || fields === null || !shownLevels.has(String(fields.level))) return null;
  const told = Object.entries(fields)
    .filter(([name]) => !hiddenFields.has(name))
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return `${fields.level}: ${[fields.msg, ...told].join(' ')}`;
}
