import { type Fault, FaultError, fault, ok, type Result } from '../fault.ts';
import type { Clock } from '../time/clock.ts';
import type { KubeClient, Resource } from './client.ts';
import { deadline } from './deadline.ts';
import { lineSplitter } from './line-splitter.ts';

/*
 * How a connection that is dead without a word is noticed, soonest first:
 *   - the kernel's keep-alive probes, 25 s, when nobody answers at all (`client.ts`);
 *   - `idleMs`: kube-apiserver sends a bookmark about every minute (`defaultBookmarkFrequency`; seen: each 60 to 62 s),
 *     so after one and a half of silence we ask anew from where we are. A server that sends none, or that has had no
 *     event of this kind since it started, costs one request in that time;
 *   - `timeoutSeconds`, 5 to 10 minutes at random, after which the server ends the watch, and `ageSlackMs` later
 *     we do, also when somebody in between keeps sending.
 */
const idleMs = 90_000;
const minWatchSeconds = 300;
const maxWatchSeconds = 600;
const ageSlackMs = 30_000;
/** So much sooner than we count it may the server's time be over. */
const earlySlackMs = 5_000;
/** etcd refuses objects above 1.5 MiB (`--max-request-bytes`); JSON may take several times as much. */
const maxLineBytes = 16 * 2 ** 20;

export interface WatchStream {
  readonly client: KubeClient;
  readonly resource: Resource;
  readonly labelSelector: string | undefined;
  /** Of each object only its metadata is sent. */
  readonly metadataOnly: boolean;
  /** Events after this one are sent. */
  readonly resourceVersion: string;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: number;
  /** The server has agreed: the head of its answer is here. */
  readonly opened: () => void;
}

export type StreamEnd =
  /** The server closed as agreed and not before its time, `hear` has had enough, or nothing was heard for too long. */
  | { readonly how: 'ended' | 'enough' | 'idle' }
  /** A line too long to be read: what it said is lost. */
  | { readonly how: 'garbled' }
  | { readonly how: 'failed'; readonly fault: Fault };

/**
 * One watch request from its begin to its end; `hear` gets each line and answers whether to go on. What `hear`
 * throws is thrown here. The connection is gone when this has settled.
 */
export async function streamLines(
  { client, resource, labelSelector, metadataOnly, resourceVersion, clock, random, opened }: WatchStream,
  signal: AbortSignal,
  hear: (line: string) => boolean,
): Promise<StreamEnd> {
  const seconds = Math.floor(minWatchSeconds + random * (maxWatchSeconds - minWatchSeconds));
  const beganMs = clock.monotonic();
  const silence = new FaultError(fault('kube-unreachable', 'the watch has fallen silent'));
  const age = deadline(clock, seconds * 1000 + ageSlackMs, signal, silence);
  const idle = deadline(clock, idleMs, age.signal, silence);
  try {
    const query: Record<string, string> = {
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion,
      timeoutSeconds: String(seconds),
    };
    if (labelSelector !== undefined) query.labelSelector = labelSelector;
    const answer = await client.open(
      { method: 'GET', resource, query, ...(metadataOnly ? { as: 'PartialObjectMetadata' } : {}) },
      idle.signal,
    );
    if (!answer.ok) return { how: 'failed', fault: answer.fault };
    opened();
    const stream = answer.value;
    try {
      const chunks: AsyncIterator<Buffer> = stream[Symbol.asyncIterator]();
      const lines = lineSplitter(maxLineBytes);
      while (true) {
        const chunk = await nextChunk(chunks);
        if (!chunk.ok) {
          return chunk.fault === silence.fault ? { how: 'idle' } : { how: 'failed', fault: chunk.fault };
        }
        // Half a line at the end is nothing lost: the next watch begins before it.
        if (chunk.value === null) {
          const isInTime = clock.monotonic() - beganMs >= seconds * 1000 - earlySlackMs;
          return isInTime ? { how: 'ended' } : { how: 'failed', fault: early };
        }
        idle.restart();
        const complete = lines.push(chunk.value);
        if (complete === null) return { how: 'garbled' };
        for (const line of complete) if (!hear(line)) return { how: 'enough' };
      }
    } finally {
      stream.destroy();
    }
  } finally {
    idle.release();
    age.release();
  }
}

/** By a server that goes down, or that has lost its own watch of etcd: what it comes back with may be older. */
const early = fault('kube-unreachable', 'the server ended the watch before its time');

/** Null at the end of the stream. */
async function nextChunk(chunks: AsyncIterator<Buffer>): Promise<Result<Buffer | null>> {
  try {
    const next = await chunks.next();
    return ok(next.done ? null : next.value);
  } catch (thrown) {
    if (thrown instanceof FaultError) return { ok: false, fault: thrown.fault };
    const { code, message } = thrown as NodeJS.ErrnoException;
    return { ok: false, fault: fault('kube-unreachable', `the watch broke: ${message || code}`) };
  }
}
