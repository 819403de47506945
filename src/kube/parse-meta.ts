import { z } from 'zod';
import type { ObjectVersion } from '../domain/ledger.ts';

/** What is read of every object's metadata; `managedFields` and the rest are left where they are. */
const metaShape = z.object({
  name: z.string().min(1).max(253),
  uid: z.string().max(128).catch(''),
  resourceVersion: z.string().min(1).max(128).nullable().catch(null),
  creationTimestamp: z.string().max(64).nullish().catch(null),
  deletionTimestamp: z.string().max(64).nullish().catch(null),
  labels: z.record(z.string(), z.unknown()).nullish().catch(null),
  annotations: z.record(z.string(), z.unknown()).nullish().catch(null),
});

export interface Meta {
  readonly name: string;
  readonly uid: string;
  /** Every object has one that the API server has stored. */
  readonly resourceVersion: ObjectVersion;
  readonly createdAtMs: number;
  /** Deleted by its user, still here because of somebody's finalizer. */
  readonly deleting: boolean;
  readonly labels: Readonly<Record<string, unknown>>;
  readonly annotations: Readonly<Record<string, unknown>>;
}

const objectShape = z.object({ metadata: metaShape });

/** Null when `object` is no Kubernetes object with a name. */
export function parseMeta(object: unknown): Meta | null {
  const parsed = objectShape.safeParse(object);
  if (!parsed.success) return null;
  const { name, uid, resourceVersion, creationTimestamp, deletionTimestamp, labels, annotations } =
    parsed.data.metadata;
  return {
    name,
    uid,
    resourceVersion,
    createdAtMs: Date.parse(creationTimestamp ?? '') || 0,
    deleting: deletionTimestamp != null,
    labels: labels ?? {},
    annotations: annotations ?? {},
  };
}
