import { createWriteStream, type WriteStream } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { ControllerProcess } from '../src/sandbox/controller-process.ts';

export interface ReplicaSettings {
  /** Arguments of the program, without those of its listener. */
  readonly args: readonly string[];
  readonly metricsPort: number;
  readonly logPath: string;
  onNews(news: string): void;
}

const main = fileURLToPath(new URL('../src/main.js', import.meta.url));

/** One controller as a process of its own, and what it says. Owns the process and its log. */
export class Replica {
  readonly process: ControllerProcess;
  readonly metricsUrl: string;
  readonly logPath: string;
  readonly #log: WriteStream;
  readonly #listeners = new Set<(line: string) => void>();

  constructor({ args, metricsPort, logPath, onNews }: ReplicaSettings) {
    this.metricsUrl = `http://127.0.0.1:${metricsPort}`;
    this.logPath = logPath;
    this.#log = createWriteStream(logPath, { mode: 0o600 });
    this.process = new ControllerProcess({
      command: [main, ...args, '--metrics', `127.0.0.1:${metricsPort}`],
      onLine: (line) => {
        this.#log.write(`${line}\n`);
        for (const listener of this.#listeners) listener(line);
      },
      onNews,
    });
  }

  /** Hears each line of the log; the answer ends it. */
  onLine(listener: (line: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Null when nobody answers. */
  async ops(path: string, withinMs = 5_000): Promise<{ status: number; body: string } | null> {
    try {
      const response = await fetch(this.metricsUrl + path, { signal: AbortSignal.timeout(withinMs) });
      return { status: response.status, body: await response.text() };
    } catch {
      return null;
    }
  }

  async leads(): Promise<boolean> {
    return /^warp_ingress_leader 1$/m.test((await this.ops('/metrics'))?.body ?? '');
  }

  /** File descriptors of the process by kind: `socket`, `pipe`, `file`, …; Linux only. */
  async descriptors(): Promise<ReadonlyMap<string, number>> {
    const kinds = new Map<string, number>();
    const folder = `/proc/${this.process.view().pid}/fd`;
    for (const name of await readdir(folder).catch(() => [])) {
      const target = await readlink(join(folder, name)).catch(() => '');
      const kind = /^(\w+):/.exec(target)?.[1] ?? 'file';
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    return kinds;
  }

  /** Ends the process and closes the log. Idempotent. */
  async stop(): Promise<void> {
    await this.process.stop();
    this.#log.end();
    await finished(this.#log).catch(() => {});
  }
}
