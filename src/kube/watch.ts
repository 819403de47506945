import { isOfEarlierHistory } from '../domain/ledger.ts';
import { type Fault, fault, faultOf, type Result, unreachable } from '../fault.ts';
import type { Logger } from '../log.ts';
import { type Backoff, backoffDelayMs } from '../time/backoff.ts';
import { type Clock, sleep } from '../time/clock.ts';
import type { KubeClient, Resource } from './client.ts';
import { Freshness } from './freshness.ts';
import { parseEvent, parsePage } from './watch-event.ts';
import { streamLines } from './watch-stream.ts';

/*
 * List, then watch from there, for ever. Nothing is ever lost: after a watch that the server ended in its time, as it
 * was asked to, the next one goes on from the last resourceVersion that was heard (bookmarks included). After any other
 * end (410, a line that cannot be read, a connection that broke or was refused) everything is listed and told again,
 * and what is not in the list any more is told as removed. Kept are names, never objects.
 *
 * Why not go on from our version after a break: whoever was away may come back restored from a backup, and watches from
 * any version without a word. Its versions tell it only while they are below ours, and its own writes (Leases) make them
 * pass ours within seconds (seen with kube-apiserver 1.36). What it costs: a restart of an API server is as many lists
 * as our own start, some MiB each for 1,000 objects, spread by the backoff. A proxy that cuts connections which say
 * nothing for less than a minute (bookmarks come each minute) makes us pay that as often.
 */

/** Objects per request; a list is as many requests as it takes. */
const pageSize = 500;
/**
 * While a watch waits, nothing new in the cluster is seen. The cap is a third of client-go's, for an API server that is
 * away gets a few refused requests more of it; one that is too busy says for how long to stay away, and is heard.
 */
const backoff: Backoff = { baseMs: 1_000, capMs: 10_000, healthyAfterMs: 10_000 };
/** What a server asks for is spread by so much, so that those whom it refused together do not return together. */
const retryAfterSpread = 0.1;
/**
 * After so many watches in a row that went on from a version and heard nothing at all, everything is listed: of a restored
 * cluster kube-apiserver tells nothing before its versions have passed ours (`cacheWatcher.process`; seen with 1.36), and
 * nothing ever of what it wrote until then. That is for a restore behind a proxy that keeps our connections, and not enough
 * where they pass ours before the last silence. Where a server sends no bookmarks it is one list in about seven minutes.
 */
const silencesBeforeRelist = 4;

export interface WatchOptions {
  readonly client: KubeClient;
  readonly resource: Resource;
  readonly labelSelector?: string;
  /** Of each object only its metadata is asked for. */
  readonly metadataOnly?: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly telemetry: WatchTelemetry;
  /** In [0, 1): spreads timeouts and retries. */
  readonly random: () => number;
  /** The object as it is now. Must not keep it. What is thrown here is logged, and everything is told again. */
  readonly present: (name: string, object: unknown) => void;
  /** Gone, as of this resourceVersion. Told only for what was told as present. */
  readonly removed: (name: string, resourceVersion: string) => void;
  /** Everything there is has been told. After every list. */
  readonly listed: () => void;
  /** We are not allowed to list or to watch. Tried again all the same until `stop`. */
  readonly refused?: (fault: Fault) => void;
}

/** What is counted; `kind` is the resource. Cheap, never throws. */
export interface WatchTelemetry {
  /** `listed` (by a list), `added`, `modified`, `deleted`, `bookmark`, `error`. */
  events(kind: string, type: string): void;
  restarts(kind: string, reason: RestartReason): void;
}

/** Why a watch ended and another one began. `ended`: by the server, as agreed, in its time. */
export type RestartReason = 'ended' | 'idle' | 'expired' | 'garbled' | 'refused' | 'unreachable' | 'bug';

export interface Watch {
  /**
   * Success: what was told is as new as this call. At once while the connection has held since the last list; else
   * everything is listed and told again without waiting for its turn. Fails as that does, or once `signal` is aborted.
   */
  refresh(signal: AbortSignal): Promise<Result<void>>;
  /** Nothing is told from now on; resolves when the connection is gone too. Idempotent. */
  stop(): Promise<void>;
}

interface Ending {
  readonly reason: RestartReason;
  /** From where to go on without a gap; null: list again. */
  readonly resumeAt: string | null;
  readonly fault: Fault | null;
}

/** Endings that are nobody's failure: the next life begins at once, unless they come too fast. */
const peaceful: ReadonlySet<RestartReason> = new Set(['ended', 'idle', 'expired']);

/** Starts at once and goes on until `stop`. Owns its connection and its timers. */
export function startWatch(options: WatchOptions): Watch {
  const { client, resource, clock, log, telemetry, random, metadataOnly = false } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const known = new Set<string>();
  const labelled: Record<string, string> =
    options.labelSelector === undefined ? {} : { labelSelector: options.labelSelector };
  const listedAs = metadataOnly ? ({ as: 'PartialObjectMetadataList' } as const) : {};
  /** False for one list after the token of a next page has expired: then all comes in one answer. */
  let paged = true;
  /** Since when the watch stands; null before its head has come. */
  let openSinceMs: number | null = null;
  const freshness = new Freshness();

  async function run(): Promise<void> {
    let resumeAt: string | null = null;
    let failures = 0;
    let silences = 0;
    while (!signal.aborted) {
      const life = freshness.begin(signal);
      const heardUpTo: string | null = resumeAt;
      const ending = await oneLife(resumeAt, life);
      freshness.ended(ending.reason === 'ended');
      if (signal.aborted) return;
      if (life.aborted) {
        resumeAt = null;
        continue;
      }
      // Waiting for an answer is no health, however long.
      const heldMs = openSinceMs === null ? 0 : clock.monotonic() - openSinceMs;
      if (heldMs >= backoff.healthyAfterMs) failures = 0;
      const atOnce = failures === 0 && peaceful.has(ending.reason);
      const delayMs = atOnce ? 0 : pauseMs(failures, ending.fault);
      failures += 1;
      silences = ending.reason === 'idle' && ending.resumeAt === heardUpTo ? silences + 1 : 0;
      resumeAt = silences >= silencesBeforeRelist ? null : ending.resumeAt;
      report(ending, resumeAt, delayMs);
      if (ending.fault?.code === 'kube-forbidden') options.refused?.(ending.fault);
      freshness.failed(ending.fault ?? fault('kube-unreachable', `the watch of ${resource} ended`));
      // Who asks us to stay away is heard, whoever is in a hurry.
      const pause = ending.fault?.retryAfterMs === undefined ? life : signal;
      if (delayMs > 0) await sleep(clock, delayMs, pause).catch(() => {});
      if (life.aborted) resumeAt = null;
    }
  }

  function pauseMs(failures: number, fault: Fault | null): number {
    const askedMs = (fault?.retryAfterMs ?? 0) * (1 + retryAfterSpread * random());
    return Math.max(backoffDelayMs(backoff, failures, random()), askedMs);
  }

  async function oneLife(resumeAt: string | null, life: AbortSignal): Promise<Ending> {
    openSinceMs = null;
    try {
      if (resumeAt !== null) return await follow(resumeAt, life);
      const listed = await list(life);
      return typeof listed === 'string' ? await follow(listed, life) : listed;
    } catch (thrown) {
      return { reason: 'bug', resumeAt: null, fault: faultOf(thrown) };
    }
  }

  /** Tells everything there is; the resourceVersion to watch from, or why there is none. */
  async function list(life: AbortSignal): Promise<string | Ending> {
    const seen = new Set<string>();
    let next = '';
    const limit: Record<string, string> = paged ? { limit: String(pageSize) } : {};
    paged = true;
    while (true) {
      const query = { ...limit, ...labelled, ...(next === '' ? {} : { continue: next }) };
      const answer = await client.call({ method: 'GET', resource, query, ...listedAs }, life);
      if (life.aborted) return stopped;
      if (!answer.ok) {
        paged = answer.fault.code !== 'kube-expired';
        return failed(answer.fault, null);
      }
      const page = parsePage(answer.value);
      if (page === null) return garbled('a list is not of the expected form');
      for (const { name, object } of page.items) {
        seen.add(name);
        tellPresent(name, object, 'listed');
      }
      next = page.next;
      if (next !== '') continue;
      for (const name of known) if (!seen.has(name)) tellRemoved(name, page.resourceVersion);
      options.listed();
      freshness.listed();
      return page.resourceVersion;
    }
  }

  async function follow(from: string, life: AbortSignal): Promise<Ending> {
    let at = from;
    let verdict: Ending = stopped;
    const hear = (line: string): boolean => {
      if (life.aborted) return false;
      const heard = hearLine(line, at);
      if (typeof heard === 'string') at = heard;
      else verdict = heard;
      return typeof heard === 'string';
    };
    const { labelSelector } = options;
    const opened = (): void => {
      openSinceMs = clock.monotonic();
      freshness.opened();
    };
    const stream = {
      client,
      resource,
      labelSelector,
      metadataOnly,
      resourceVersion: from,
      clock,
      random: random(),
      opened,
    };
    const end = await streamLines(stream, life, hear);
    switch (end.how) {
      case 'ended':
      case 'idle':
        return { reason: end.how, resumeAt: at, fault: null };
      case 'enough':
        return verdict;
      case 'garbled':
        return garbled('a line is too long');
      case 'failed':
        return failed(end.fault, at);
      default:
        return unreachable(end);
    }
  }

  /** The resourceVersion after this line, or the end that it means. */
  function hearLine(line: string, at: string): string | Ending {
    const event = parseEvent(line);
    if (event === null) return garbled('a line is no event');
    telemetry.events(resource, event.type);
    // Not only 410: a server that cannot go on from here is not asked for the same again.
    if (event.type === 'error') return failed(event.fault, null);
    const version = event.resourceVersion;
    if (isOfEarlierHistory(version, at)) {
      const detail = `the server went back from version ${at} to ${version}`;
      return { reason: 'expired', resumeAt: null, fault: fault('kube-expired', detail) };
    }
    if (event.type === 'deleted') tellRemoved(event.name, version);
    else if (event.type !== 'bookmark') tellPresent(event.name, event.object);
    return version;
  }

  function tellPresent(name: string, object: unknown, counted?: 'listed'): void {
    if (signal.aborted) return;
    if (counted !== undefined) telemetry.events(resource, counted);
    known.add(name);
    options.present(name, object);
  }

  function tellRemoved(name: string, resourceVersion: string): void {
    if (!signal.aborted && known.delete(name)) options.removed(name, resourceVersion);
  }

  function report({ reason, fault }: Ending, resumeAt: string | null, delayMs: number): void {
    telemetry.restarts(resource, reason);
    const level = peaceful.has(reason) ? 'debug' : reason === 'bug' ? 'error' : 'warn';
    const relist = resumeAt === null;
    log[level](
      {
        kind: resource,
        reason,
        code: fault?.code,
        detail: fault?.message,
        relist,
        delayMs: Math.round(delayMs),
      },
      'watch restarts',
    );
  }

  const running = run().finally(() => freshness.close());
  return {
    refresh: (waiting) => freshness.wait(AbortSignal.any([waiting, signal])),
    stop() {
      stopping.abort();
      return running;
    },
  };
}

const stopped: Ending = { reason: 'ended', resumeAt: null, fault: null };

function garbled(detail: string): Ending {
  return { reason: 'garbled', resumeAt: null, fault: fault('kube-refused', detail) };
}

/** `at` is where the history is unbroken up to, if it is: a server that only says to wait (429) has not been away. */
function failed(fault: Fault, at: string | null): Ending {
  switch (fault.code) {
    case 'kube-expired':
      return { reason: 'expired', resumeAt: null, fault };
    case 'kube-unreachable':
    case 'stopped':
      return { reason: 'unreachable', resumeAt: null, fault };
    case 'kube-refused':
      return { reason: 'refused', resumeAt: fault.retryAfterMs === undefined ? null : at, fault };
    default:
      return { reason: 'refused', resumeAt: null, fault };
  }
}
