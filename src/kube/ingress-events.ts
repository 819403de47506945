import { createHash } from 'node:crypto';
import type { IngressRef, Leadership } from '../actors/ports.ts';
import type { EventNote } from '../domain/event.ts';
import { type Fault, ok } from '../fault.ts';
import type { Logger } from '../log.ts';
import { type Backoff, backoffDelayMs } from '../time/backoff.ts';
import { type Clock, sleep } from '../time/clock.ts';
import type { KubeClient } from './client.ts';

/** A repeat within this time counts up the Event that is there; the API server keeps Events for an hour. */
const repeatWindowMs = 600_000;
/** Events that are remembered for that, and at most that many wait to be written. */
const maxRemembered = 1_000;
const maxWaiting = 1_000;
/** Somebody leads again by then. What was noted before that the leader of then has said. */
const interregnumMs = 20_000;
/** Ten writes a second, so that a thousand Ingresses that come up together do not drown the API server. */
const spacingMs = 100;
/** Of an API server that is away or busy: what it did not take is not said again by whoever noted it. */
const retryBackoff: Backoff = { baseMs: 1_000, capMs: 30_000, healthyAfterMs: 0 };
/** Limits of the Event API (validation of core/v1 Event). */
const maxMessageLength = 1_024;
const maxNameLength = 253;

const component = 'cloudflare-warp-ingress';

/**
 * Writes Events on Ingresses, best effort: what the API server refuses is logged and forgotten, what it cannot take now is
 * tried again for as long as a repeat would be counted. Only while we lead: what is noted at another time is written if
 * we lead soon after, because then nobody may have led.
 */
export interface IngressEvents {
  /** Never throws, never waits. The same reason and message again is counted on the same Event. */
  note(ingress: IngressRef, note: EventNote): void;
  /** Gives up what waits; resolves when nothing is under way any more. Idempotent. */
  close(): Promise<void>;
}

/** One Event as it should be. `name` is its object's name. */
interface Occurrence {
  readonly ingress: IngressRef;
  readonly note: EventNote;
  readonly name: string;
  /** Wall clock, for people. */
  readonly firstAtMs: number;
  lastAtMs: number;
  /** The last time, monotonic: its age is told by this, as the wall clock may be set. */
  notedAtMs: number;
  count: number;
  waiting: boolean;
  created: boolean;
}

export interface EventOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Tells several controllers apart in the Events: the pod's name. */
  readonly instance: string;
  readonly leadership: Leadership;
  /** In [0, 1). */
  readonly random: () => number;
}

/** Owns one loop, ended by `close`. */
export function createIngressEvents(
  client: KubeClient,
  { clock, log, instance, leadership, random }: EventOptions,
): IngressEvents {
  const stopping = new AbortController();
  const { signal } = stopping;
  /** In the order of the last note, so that the first is the one to forget. */
  const remembered = new Map<string, Occurrence>();
  const waiting: Occurrence[] = [];
  let writing: Promise<void> | null = null;
  /** Noted while we did not lead, the newest last. */
  let heldBack: { readonly ingress: IngressRef; readonly note: EventNote; readonly atMs: number }[] = [];

  const deafen = leadership.onChange((isLeading) => {
    if (!isLeading) return;
    const sinceMs = clock.monotonic() - interregnumMs;
    const unsaid = heldBack.filter(({ atMs }) => atMs >= sinceMs);
    heldBack = [];
    dropOlderThan(interregnumMs);
    for (const { ingress, note: given } of unsaid) note(ingress, given);
    begin();
  });

  function note(ingress: IngressRef, given: EventNote): void {
    if (signal.aborted) return;
    if (!leadership.isLeading) {
      heldBack.push({ ingress, note: given, atMs: clock.monotonic() });
      if (heldBack.length > maxWaiting) heldBack.shift();
      return;
    }
    const nowMs = clock.now();
    const notedAtMs = clock.monotonic();
    const key = JSON.stringify([ingress.uid, given.type, given.reason, given.message]);
    const before = remembered.get(key);
    const repeats = before !== undefined && notedAtMs - before.notedAtMs < repeatWindowMs;
    const occurrence = repeats ? before : newOccurrence(ingress, given, key, { nowMs, notedAtMs });
    if (repeats) {
      occurrence.count += 1;
      occurrence.lastAtMs = nowMs;
      occurrence.notedAtMs = notedAtMs;
    }
    if (!occurrence.waiting) {
      if (waiting.length >= maxWaiting) {
        log.warn({ ingress: ingress.name, reason: given.reason }, 'too many events wait; one is dropped');
        return;
      }
      occurrence.waiting = true;
      waiting.push(occurrence);
    }
    remembered.delete(key);
    remembered.set(key, occurrence);
    const [oldest] = remembered.keys();
    if (remembered.size > maxRemembered && oldest !== undefined) remembered.delete(oldest);
    begin();
  }

  function begin(): void {
    writing ??= write().finally(() => {
      writing = null;
    });
  }

  /** Until nothing waits, or we do not lead: then it waits on for whether we do soon. */
  async function write(): Promise<void> {
    let failures = 0;
    while (leadership.isLeading && !signal.aborted) {
      dropOlderThan(repeatWindowMs);
      const next = waiting.shift();
      if (next === undefined) return;
      next.waiting = false;
      const written = next.created ? await countUp(next) : await create(next);
      if (signal.aborted) return;
      const retryInMs = written.ok ? null : failed(next, written.fault, failures);
      failures = retryInMs === null ? 0 : failures + 1;
      await sleep(clock, retryInMs ?? spacingMs, signal).catch(() => {});
    }
  }

  /** When it is tried again; null for what is refused, and forgotten. */
  function failed(occurrence: Occurrence, fault: Fault, failures: number): number | null {
    const { code, message: detail, retryAfterMs } = fault;
    const what = { ingress: occurrence.ingress.name, reason: occurrence.note.reason, code, detail };
    if (code !== 'kube-unreachable' && retryAfterMs === undefined) {
      log.warn(what, 'event not written');
      return null;
    }
    const retryInMs = Math.max(backoffDelayMs(retryBackoff, failures, random()), retryAfterMs ?? 0);
    log.warn({ ...what, retryInMs }, 'event not written yet');
    // Noted again meanwhile, it waits already.
    if (!occurrence.waiting) waiting.unshift(occurrence);
    occurrence.waiting = true;
    return retryInMs;
  }

  function dropOlderThan(ageMs: number): void {
    const sinceMs = clock.monotonic() - ageMs;
    for (const old of waiting.filter(({ notedAtMs }) => notedAtMs < sinceMs)) {
      old.waiting = false;
      waiting.splice(waiting.indexOf(old), 1);
    }
  }

  async function create(occurrence: Occurrence) {
    const body = eventBody(occurrence, client.namespace, instance);
    const answer = await client.call({ method: 'POST', resource: 'events', body }, signal);
    // There already: its first try was carried out and the answer lost.
    if (!answer.ok && answer.fault.code !== 'kube-conflict') return answer;
    occurrence.created = true;
    return ok(undefined);
  }

  async function countUp(occurrence: Occurrence) {
    const { name, count, lastAtMs } = occurrence;
    const body = { count, lastTimestamp: timestamp(lastAtMs) };
    const answer = await client.call({ method: 'PATCH', resource: 'events', name, body }, signal);
    // The API server has forgotten it before we did.
    return !answer.ok && answer.fault.code === 'kube-not-found' ? create(occurrence) : answer;
  }

  return {
    note,
    async close() {
      stopping.abort();
      deafen();
      waiting.length = 0;
      await writing;
    },
  };
}

function newOccurrence(
  ingress: IngressRef,
  note: EventNote,
  key: string,
  { nowMs, notedAtMs }: { readonly nowMs: number; readonly notedAtMs: number },
): Occurrence {
  const hash = createHash('sha256').update(`${key}${nowMs}`).digest('hex').slice(0, 16);
  // A name may not end a label in `-` or `.` before the dot that follows.
  const prefix = ingress.name.slice(0, maxNameLength - hash.length - 1).replace(/[^a-z0-9]+$/, '');
  const name = `${prefix}.${hash}`;
  const times = { firstAtMs: nowMs, lastAtMs: nowMs, notedAtMs };
  return { ingress, note, name, ...times, count: 1, waiting: false, created: false };
}

/** Core Events, not `events.k8s.io`: both are the same objects, and `kubectl describe` shows their count. */
function eventBody(occurrence: Occurrence, namespace: string, instance: string): object {
  const { ingress, note, name, count } = occurrence;
  const { type, reason, message } = note;
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name, namespace },
    involvedObject: {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      name: ingress.name,
      namespace,
      uid: ingress.uid,
    },
    type,
    reason,
    message: message.length > maxMessageLength ? `${message.slice(0, maxMessageLength - 1)}…` : message,
    count,
    firstTimestamp: timestamp(occurrence.firstAtMs),
    lastTimestamp: timestamp(occurrence.lastAtMs),
    source: { component, host: instance },
    reportingComponent: component,
    reportingInstance: instance,
  };
}

/** metav1.Time has whole seconds. */
function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
