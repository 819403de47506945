/** What the Lease says. Times in it are other clocks' and are not looked at, only whether they change. */
export interface LeaseRecord {
  /** Empty: nobody's, given back by whoever had it. */
  readonly holder: string;
  readonly durationMs: number;
  /** Everything in it that a renewal changes, as one text. */
  readonly stamp: string;
}

/** The last record that was seen, null for none, and when it was first seen so, on our own monotonic clock. */
export interface Sighting {
  readonly record: LeaseRecord | null;
  readonly sinceMs: number;
}

export type Candidacy =
  | { readonly do: 'take' }
  /** It is ours: from before our connection was lost, or because the answer to our taking it was. */
  | { readonly do: 'renew' }
  /** It is somebody's; it is looked at again by then at the latest. */
  | { readonly do: 'wait'; readonly forMs: number };

/** The record as it is now; while it stays the same, the time since it was first seen so grows. */
export function sight(before: Sighting | null, record: LeaseRecord | null, nowMs: number): Sighting {
  const same = before !== null && before.record?.stamp === record?.stamp;
  return same ? before : { record, sinceMs: nowMs };
}

/**
 * What a replica does about the Lease. Another's may be taken once it has not changed for as long as it is valid,
 * counted from when we saw it change, which is after its holder began that renewal: so whatever the two clocks
 * say, the holder has given up by then (`leads`).
 */
export function candidacy({ record, sinceMs }: Sighting, me: string, nowMs: number): Candidacy {
  if (record === null || record.holder === '') return { do: 'take' };
  if (record.holder === me) return { do: 'renew' };
  const leftMs = sinceMs + Math.min(record.durationMs, longestValidityMs) - nowMs;
  return leftMs <= 0 ? { do: 'take' } : { do: 'wait', forMs: leftMs };
}

/** Whether a holder still leads that began its last successful renewal then. */
export function leads(renewedAtMs: number, nowMs: number): boolean {
  return nowMs - renewedAtMs < renewalDeadlineMs;
}

/** What others have to wait for after a holder that died: with what it takes them to look, below 15 s. */
export const leaseDurationMs = 10_000;
/** The holder stops leading this long after its last renewal: what it has under way has time to be given up. */
export const renewalDeadlineMs = 7_000;
/** A Lease that was edited by hand, or whose holder thinks otherwise, keeps nobody waiting for longer. */
const longestValidityMs = 60_000;
