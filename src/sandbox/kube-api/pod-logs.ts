/** One line that a container wrote. */
export interface LogLine {
  readonly container: string;
  readonly text: string;
  readonly atMs: number;
}

/** Hears each further line, and null when there will be none. */
export type HearLine = (line: LogLine | null) => void;

interface PodLog {
  readonly lines: LogLine[];
  readonly hearers: Set<HearLine>;
}

/** Kept of each pod; older ones go. */
const maxLines = 2_000;

/** What the containers of pods have written, for `kubectl logs`. By the uid of a pod, until that is gone. */
export class PodLogs {
  readonly #pods = new Map<string, PodLog>();

  add(uid: string, line: LogLine): void {
    const { lines, hearers } = this.#of(uid);
    lines.push(line);
    if (lines.length > maxLines) lines.shift();
    for (const hear of hearers) hear(line);
  }

  read(uid: string): readonly LogLine[] {
    return this.#pods.get(uid)?.lines ?? [];
  }

  followers(uid: string): number {
    return this.#pods.get(uid)?.hearers.size ?? 0;
  }

  /** Answers how to stop listening. */
  follow(uid: string, hear: HearLine): () => void {
    const { hearers } = this.#of(uid);
    hearers.add(hear);
    return () => void hearers.delete(hear);
  }

  /** The pod is gone. */
  end(uid: string): void {
    const log = this.#pods.get(uid);
    this.#pods.delete(uid);
    for (const hear of log?.hearers ?? []) hear(null);
  }

  #of(uid: string): PodLog {
    let log = this.#pods.get(uid);
    if (log === undefined) {
      log = { lines: [], hearers: new Set() };
      this.#pods.set(uid, log);
    }
    return log;
  }
}
