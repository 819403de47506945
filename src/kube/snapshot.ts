import type { ServiceSpec, SliceSpec } from '../domain/backend.ts';
import { caSecretsOf, type OriginCa, unreadableCa } from '../domain/compile-host.ts';
import type { IngressSpec } from '../domain/ingress.ts';
import type { LedgerEntry } from '../domain/ledger.ts';
import { ok, type Result } from '../fault.ts';
import { caOf, readCaSecret } from './ca-secret.ts';
import type { KubeClient } from './client.ts';
import { hostHashLabel, parseLedgerSecret } from './ledger-secret.ts';
import { listObjects } from './list.ts';
import { type IngressRules, parseIngress } from './parse-ingress.ts';
import { parseService } from './parse-service.ts';
import { parseSlice } from './parse-slice.ts';

/** The namespace as the controller would see it at its start. */
export interface Snapshot {
  /** Ours. */
  readonly ingresses: readonly IngressSpec[];
  /** Not ours and yet naming us. */
  readonly foreign: readonly { readonly name: string; readonly message: string }[];
  readonly services: readonly ServiceSpec[];
  readonly slices: readonly SliceSpec[];
  /** By the name of the Secret: every CA that an Ingress of ours needs. */
  readonly cas: ReadonlyMap<string, OriginCa>;
  /** Of every identity. */
  readonly ledger: readonly LedgerEntry[];
  readonly unreadable: readonly Unreadable[];
}

/** Passed over. That it cannot be read does not mean that it is not there. */
export interface Unreadable {
  readonly kind: 'Ingress' | 'Service' | 'Secret';
  readonly name: string;
  readonly why: string;
}

/** Lists the four kinds once and parses them as the watches do. Ingresses are read before what they lead to. */
export async function readSnapshot(
  client: KubeClient,
  rules: IngressRules,
  signal: AbortSignal,
): Promise<Result<Snapshot>> {
  const ingresses = await listObjects(client, 'ingresses', {}, signal);
  if (!ingresses.ok) return ingresses;
  const services = await listObjects(client, 'services', {}, signal);
  if (!services.ok) return services;
  const slices = await listObjects(client, 'endpointslices', {}, signal);
  if (!slices.ok) return slices;
  const secrets = await listObjects(client, 'secrets', { labelSelector: hostHashLabel }, signal);
  if (!secrets.ok) return secrets;

  const unreadable: Unreadable[] = [];
  const foreign: { name: string; message: string }[] = [];
  const ours = ingresses.value.flatMap(({ name, object }) => {
    const parsed = parseIngress(object, rules);
    if (parsed.kind === 'unreadable') unreadable.push({ kind: 'Ingress', name, why: 'it has no uid' });
    if (parsed.kind === 'foreign' && parsed.conflict !== null)
      foreign.push({ name, message: parsed.conflict.message });
    return parsed.kind === 'ours' ? [parsed.spec] : [];
  });
  return ok({
    ingresses: ours,
    foreign,
    cas: await readCas(client, ours, signal),
    services: services.value.flatMap(({ name, object }) => {
      const service = parseService(object);
      if (service === null) unreadable.push({ kind: 'Service', name, why: 'its spec' });
      return service ?? [];
    }),
    slices: slices.value.flatMap(({ object }) => parseSlice(object) ?? []),
    ledger: secrets.value.flatMap(({ name, object }) => {
      const entry = parseLedgerSecret(object);
      if (!entry.ok) unreadable.push({ kind: 'Secret', name, why: entry.fault.message });
      return entry.ok ? [entry.value] : [];
    }),
    unreadable,
  });
}

async function readCas(
  client: KubeClient,
  ingresses: readonly IngressSpec[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, OriginCa>> {
  const cas = new Map<string, OriginCa>();
  for (const name of new Set(ingresses.flatMap(({ hosts, settings }) => [...caSecretsOf(hosts, settings)]))) {
    const secret = await readCaSecret(client, name, signal);
    const ca = secret.ok ? caOf(name, secret.value) : secret;
    cas.set(name, ca.ok ? { pem: ca.value, note: null, isUnknown: false } : unreadableCa(ca.fault, null));
  }
  return cas;
}
