import { z } from 'zod';
import type { LeaseRecord } from '../domain/election.ts';
import { hostHash } from '../domain/host.ts';
import { type Shard, wholeInstall } from '../domain/shard.ts';
import { failed, ok, type Result } from '../fault.ts';
import type { KubeClient } from './client.ts';

/** A Lease as it was read, so that a write is guarded by its version and leaves what others put there. */
export interface SeenLease {
  readonly record: LeaseRecord;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** Who has the Lease from now on; an empty `holder` gives it back. */
export interface LeaseClaim {
  readonly holder: string;
  readonly durationMs: number;
  /** Wall clock; for people, nobody counts by it. */
  readonly nowMs: number;
}

/** One Lease of the client's namespace. Holds no state and no resource. */
export interface LeaseStore {
  readonly name: string;
  /** Null: there is none. */
  read(signal: AbortSignal): Promise<Result<SeenLease | null>>;
  /** Writes over exactly what was seen, else `kube-conflict`; null creates it. Answers it as stored. */
  write(seen: SeenLease | null, claim: LeaseClaim, signal: AbortSignal): Promise<Result<SeenLease>>;
}

export function createLeaseStore(client: KubeClient, name: string): LeaseStore {
  const resource = 'leases';
  return {
    name,
    async read(signal) {
      const found = await client.call({ method: 'GET', resource, name }, signal);
      if (found.ok) return parseLease(found.value);
      return found.fault.code === 'kube-not-found' ? ok(null) : found;
    },
    async write(seen, claim, signal) {
      const body = leaseBody(name, seen, claim);
      const written = await client.call(
        seen === null
          ? { method: 'POST', resource, body }
          : // Guarded by the resourceVersion among the metadata.
            { method: 'PUT', resource, name, body },
        signal,
      );
      return written.ok ? parseLease(written.value) : written;
    },
  };
}

/**
 * Controllers of two classes in one namespace have nothing to share, nor have two shards: each has its own leader.
 */
export function leaseName(
  ingressClass: string,
  defaultClass: string,
  { index, count }: Shard = wholeInstall,
): string {
  const part = count === 1 ? '' : `.shard-${index}-of-${count}`;
  const base = `cloudflare-warp-leader${part}`;
  if (ingressClass === defaultClass) return base;
  const isName = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(ingressClass);
  return `${base}.${isName ? ingressClass : hostHash(ingressClass)}`;
}

const leaseShape = z.object({
  metadata: z.looseObject({ name: z.string(), resourceVersion: z.string().min(1) }),
  spec: z
    .looseObject({
      holderIdentity: z.string().nullish(),
      leaseDurationSeconds: z.number().nullish(),
      acquireTime: z.string().nullish(),
      renewTime: z.string().nullish(),
      leaseTransitions: z.number().nullish(),
    })
    .nullish(),
});

function parseLease(object: unknown): Result<SeenLease> {
  const parsed = leaseShape.safeParse(object);
  if (!parsed.success) return failed('kube-refused', 'the answer is no Lease');
  const { metadata, spec } = parsed.data;
  const { holderIdentity, leaseDurationSeconds, acquireTime, renewTime, leaseTransitions } = spec ?? {};
  const holder = holderIdentity ?? '';
  return ok({
    record: {
      holder,
      durationMs: (leaseDurationSeconds ?? 0) * 1_000,
      stamp: JSON.stringify([holder, leaseDurationSeconds, acquireTime, renewTime, leaseTransitions]),
    },
    metadata,
    spec: spec ?? {},
  });
}

/** As client-go's elections keep it, so that `kubectl` and people read it the same. */
function leaseBody(name: string, seen: SeenLease | null, { holder, durationMs, nowMs }: LeaseClaim): object {
  const changesHands = seen?.record.holder !== holder;
  const transitions = Number(seen?.spec.leaseTransitions ?? 0);
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: seen?.metadata ?? { name },
    spec: {
      ...seen?.spec,
      holderIdentity: holder,
      leaseDurationSeconds: Math.ceil(durationMs / 1_000),
      renewTime: microTime(nowMs),
      acquireTime: changesHands ? microTime(nowMs) : seen.spec.acquireTime,
      leaseTransitions: seen !== null && changesHands && holder !== '' ? transitions + 1 : transitions,
    },
  };
}

/** Kubernetes' MicroTime: RFC 3339 with six digits of a second. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}
