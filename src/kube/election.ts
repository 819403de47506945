import type { Leadership } from '../actors/ports.ts';
import {
  candidacy,
  leads,
  leaseDurationMs,
  renewalDeadlineMs,
  type Sighting,
  sight,
} from '../domain/election.ts';
import { FaultError, failed, fault, ok, type Result, unreachable } from '../fault.ts';
import type { Logger } from '../log.ts';
import { type Backoff, backoffDelayMs } from '../time/backoff.ts';
import { type Clock, sleep, type Timer } from '../time/clock.ts';
import { deadline } from './deadline.ts';
import type { LeaseStore, SeenLease } from './lease.ts';

export interface ElectionOptions {
  readonly lease: LeaseStore;
  /** Ours among all that ever contend for this Lease, other lives of the same pod included. */
  readonly me: string;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /**
   * Brings our view of the world up to date. Asked before the Lease is claimed, so that whoever leads knows what the
   * leader before has done: the claim fails if there was another one since the Lease was read. Settles once `signal`
   * is aborted.
   */
  prepare(signal: AbortSignal): Promise<Result<void>>;
}

export interface Election extends Leadership {
  /** Contends from now on. Not before our view of the world is whole: who leads acts on it at once. */
  start(): void;
  /** What keeps it from being known who leads, in words; null once it was known. */
  readonly pending: string | null;
  /** Leads no more, and gives the Lease back within 6 s if it can, so that another replica leads a second or two later. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Contends for the Lease from `start` until `stop`: takes it when it is free, renews it, and watches whoever has
 * it. `isLeading` is true only while the last renewal is fresh enough for nobody else to have taken over, whatever
 * has become of our timers meanwhile. The rules are client-go's (`tools/leaderelection`). Owns its timers.
 */
export function createElection(options: ElectionOptions): Election {
  const { lease, me, clock, random, log, prepare } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const listeners = new Set<(isLeading: boolean) => void>();
  let sighting: Sighting | null = null;
  /** The Lease as we wrote it last, to write over without reading it anew. */
  let held: SeenLease | null = null;
  let renewedAtMs = Number.NEGATIVE_INFINITY;
  let expiry: Timer | null = null;
  let isLeading = false;
  let pending: string | null = `the first look at the Lease ${lease.name}`;
  /** The holder, or the failure, that was logged last. */
  let told = '';

  async function run(): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      const turn = await takeTurn();
      if (signal.aborted) return;
      failures = turn.ok ? 0 : failures + 1;
      const delayMs = turn.ok ? turn.value * (1 - 0.2 * random()) : failedTurn(turn.fault.message, failures);
      await sleep(clock, delayMs, signal).catch(() => {});
    }
  }

  /** One look or write; in how long the next one is due. */
  async function takeTurn(): Promise<Result<number>> {
    const seen: Result<SeenLease | null> = held === null ? await bounded((cut) => lease.read(cut)) : ok(held);
    if (!seen.ok) return seen;
    const record = seen.value?.record ?? null;
    const nowMs = clock.monotonic();
    sighting = sight(sighting, record, nowMs);
    const next = candidacy(sighting, me, nowMs);
    switch (next.do) {
      case 'wait':
        lose(`taken by ${record?.holder}`);
        say(record?.holder ?? '', () =>
          log.info({ lease: lease.name, leader: record?.holder }, 'another replica leads'),
        );
        pending = null;
        return ok(Math.min(next.forMs, lookEveryMs));
      case 'take':
      case 'renew':
        return claim(seen.value);
      default:
        return unreachable(next);
    }
  }

  async function claim(seen: SeenLease | null): Promise<Result<number>> {
    if (!leadsNow()) {
      const prepared = await prepare(signal);
      if (!prepared.ok)
        return failed(prepared.fault.code, `our view is not up to date: ${prepared.fault.message}`);
    }
    const sentAtMs = clock.monotonic();
    const wanted = { holder: me, durationMs: leaseDurationMs, nowMs: clock.now() };
    const written = await bounded((cut) => lease.write(seen, wanted, cut));
    if (signal.aborted) return failed('stopped', 'the election ends');
    if (!written.ok) {
      // Whatever it was: what is there now is looked at before anything is written again. Only a server that was too busy
      // (429) has certainly done nothing, and is not given two requests to refuse where one will do.
      const { code, retryAfterMs } = written.fault;
      if (code !== 'kube-refused' || retryAfterMs === undefined) held = null;
      return written;
    }
    held = written.value;
    renewedAtMs = sentAtMs;
    pending = null;
    expiry?.cancel();
    // Whatever the clock says by then: timers may fire a moment early, and there is only this one.
    expiry = clock.after(sentAtMs + renewalDeadlineMs - clock.monotonic(), () => lose('not renewed in time'));
    gain();
    return ok(renewEveryMs);
  }

  function gain(): void {
    if (isLeading) return;
    isLeading = true;
    told = me;
    log.info({ lease: lease.name, me }, 'leadership gained');
    for (const hear of [...listeners]) hear(true);
  }

  function lose(reason: string): void {
    expiry?.cancel();
    if (!isLeading) return;
    isLeading = false;
    log[signal.aborted ? 'info' : 'warn']({ lease: lease.name, me, reason }, 'leadership lost');
    for (const hear of [...listeners]) hear(false);
  }

  /** In how long to try again. */
  function failedTurn(message: string, failures: number): number {
    if (pending !== null) pending = `the Lease ${lease.name}: ${message}`;
    // A holder has only until its deadline, and nobody would lead while the others do as they are asked (Retry-After).
    const backoff = isLeading ? renewalBackoff : lookBackoff;
    say(message, () => log.warn({ lease: lease.name, detail: message }, 'lease not reached'));
    return backoffDelayMs(backoff, failures - 1, random());
  }

  /** Once per cause, not once per retry. */
  function say(what: string, tell: () => void): void {
    if (told === what) return;
    told = what;
    tell();
  }

  /** The client waits for longer than a Lease is valid. */
  async function bounded<T>(
    request: (cut: AbortSignal) => Promise<Result<T>>,
    outer = signal,
  ): Promise<Result<T>> {
    const late = fault('kube-unreachable', `no answer within ${requestTimeoutMs} ms`);
    const limit = deadline(clock, requestTimeoutMs, outer, new FaultError(late));
    try {
      const answer = await request(limit.signal);
      const isLate = limit.signal.aborted && !outer.aborted && !answer.ok;
      return isLate ? { ok: false, fault: late } : answer;
    } finally {
      limit.release();
    }
  }

  /**
   * Again and again for a while: whoever comes next, another replica or this pod's next life, else waits for all of the
   * Lease's validity.
   */
  async function giveBack(): Promise<void> {
    if (running === null) return;
    await running;
    lose('stopped');
    const holder = sighting?.record?.holder ?? '';
    if (held === null && holder !== '' && holder !== me) return;
    const late = fault('kube-unreachable', `no success within ${giveBackLimitMs} ms`);
    const limit = deadline(clock, giveBackLimitMs, new AbortController().signal, new FaultError(late));
    try {
      for (let attempt = 0; ; attempt += 1) {
        const given = await vacate(limit.signal);
        if (given.ok) return;
        const pauseMs = Math.max(
          backoffDelayMs(giveBackBackoff, attempt, random()),
          given.fault.retryAfterMs ?? 0,
        );
        await sleep(clock, pauseMs, limit.signal).catch(() => {});
        if (!limit.signal.aborted) continue;
        log.warn({ lease: lease.name, detail: given.fault.message }, 'lease not given back');
        return;
      }
    } finally {
      limit.release();
    }
  }

  /** Looks at it anew each time: our last renewal, given up on the way, may have arrived after all. */
  async function vacate(within: AbortSignal): Promise<Result<void>> {
    const seen = await bounded((cut) => lease.read(cut), within);
    if (!seen.ok) return seen;
    if (seen.value?.record.holder !== me) return ok(undefined);
    // As client-go does: a second, for whoever only looks at that.
    const nobody = { holder: '', durationMs: 1_000, nowMs: clock.now() };
    const written = await bounded((cut) => lease.write(seen.value, nobody, cut), within);
    return written.ok ? ok(undefined) : written;
  }

  function leadsNow(): boolean {
    return isLeading && leads(renewedAtMs, clock.monotonic());
  }

  let running: Promise<void> | null = null;
  let stopped: Promise<void> | undefined;
  return {
    get isLeading() {
      return leadsNow();
    },
    start() {
      if (!signal.aborted) running ??= run();
    },
    get pending() {
      return pending;
    },
    onChange(hear) {
      listeners.add(hear);
      return () => void listeners.delete(hear);
    },
    stop() {
      stopping.abort();
      stopped ??= giveBack();
      return stopped;
    },
  };
}

/** How often a holder renews, and how often others look; a fifth less or none, so that they do not march in step. */
const renewEveryMs = 2_000;
const lookEveryMs = 1_000;
const requestTimeoutMs = 3_000;
/** Of a pod's 60 s to end (deploy/base), of which the drain of what it serves, after this, may take the 30 of the grace period. */
const giveBackLimitMs = 6_000;
const giveBackBackoff: Backoff = { baseMs: 250, capMs: 1_000, healthyAfterMs: 0 };
const renewalBackoff: Backoff = { baseMs: 500, capMs: 1_000, healthyAfterMs: 0 };
const lookBackoff: Backoff = { baseMs: 1_000, capMs: 8_000, healthyAfterMs: 0 };
