import { isDeepStrictEqual } from 'node:util';
import { tunnelName } from '../domain/host.ts';
import type { HostStep } from '../domain/host-plan.ts';
import { type DnsRecords, isStored, knownRecords, type LedgerEntry } from '../domain/ledger.ts';
import { dispositionOf, fault, ok, type Result, unreachable } from '../fault.ts';
import type { StepOutcome } from './messages.ts';
import type { Cloudflare, Leadership, LedgerStore } from './ports.ts';

export interface StepWorld {
  readonly cloudflare: Cloudflare;
  readonly ledger: LedgerStore;
  /** Only who leads carries out steps. */
  readonly leadership: Leadership;
  /** Owner identity of this install. */
  readonly identity: string;
}

export interface StepInput {
  readonly host: string;
  readonly ingress: string;
  readonly ledger: LedgerEntry | null;
  /** False when the host is being removed: then its ledger entry stays until the last step. */
  readonly wanted: boolean;
  readonly publishes: boolean;
  /** The tunnel goes although others are connected to it. */
  readonly force: boolean;
}

/**
 * Carries out one step of `domain/host-plan`. Each is safe to repeat, by us or by whoever leads after us: what it
 * changes at Cloudflare is found again by name and owner mark when the write to the ledger behind it did not
 * succeed. That something is about to be removed is in the ledger first, so that nobody who goes on from there
 * believes in it; and as the ledger refuses whoever does not know its newest version, a stale view removes nothing.
 */
export async function carryOut(
  step: HostStep,
  input: StepInput,
  world: StepWorld,
  signal: AbortSignal,
): Promise<Result<StepOutcome>> {
  const { host, ledger: entry } = input;
  const { cloudflare, identity } = world;
  if (step === 'record') return record(input, world, signal);
  if (entry === null) return { ok: false, fault: fault('bug', `${step} of ${host} without a ledger entry`) };

  switch (step) {
    case 'create-tunnel': {
      const tunnel = await cloudflare.ensureTunnel({ host, name: entry.tunnelName, identity }, signal);
      return tunnel.ok ? write({ ...entry, tunnel: tunnel.value }, world, signal) : tunnel;
    }
    case 'verify-tunnel': {
      const tunnel = await cloudflare.ensureTunnel({ host, name: entry.tunnelName, identity }, signal);
      if (!tunnel.ok) return tunnel;
      if (isDeepStrictEqual(tunnel.value, entry.tunnel)) return ok({ ledger: entry, cleared: 'nothing' });
      if (tunnel.value.id === entry.tunnel?.id)
        return write({ ...entry, tunnel: tunnel.value }, world, signal);
      // Another tunnel. The records that lead to the old one follow before the ledger does, because only it knows
      // them for ours if their mark is gone too; what stands in their way must not keep the tunnel from serving.
      const dns = await redirected(input, tunnel.value.id, world, signal);
      return dns.ok ? write({ ...entry, tunnel: tunnel.value, dns: dns.value }, world, signal) : dns;
    }
    case 'publish-dns': {
      const request = { host, tunnelId: entry.tunnel?.id ?? '', identity, known: knownRecords(entry) };
      const dns = await cloudflare.ensureDns(request, signal);
      if (!dns.ok) return dns;
      if (isDeepStrictEqual(dns.value, entry.dns)) return ok({ ledger: entry, cleared: 'nothing' });
      return write({ ...entry, dns: dns.value }, world, signal);
    }
    case 'withdraw-dns': {
      const known = knownRecords(entry);
      const isLeaving = known === null || entry.dns?.leaving === true;
      const leaving: Result<LedgerEntry> = isLeaving
        ? ok(entry)
        : await world.ledger.put({ ...entry, dns: { ...known, leaving: true } }, signal);
      if (!leaving.ok) return leaving;
      const removal = { host, tunnelId: entry.tunnel?.id ?? '', identity, known };
      const removed = await cloudflare.removeDns(removal, signal);
      if (!removed.ok) return removed;
      return input.wanted
        ? write({ ...leaving.value, publishes: false, dns: null }, world, signal)
        : ok({ ledger: leaving.value, cleared: 'dns' });
    }
    case 'remove-tunnel': {
      // It is found again by its name.
      const unnamed =
        entry.tunnel === null ? ok(entry) : await world.ledger.put({ ...entry, tunnel: null }, signal);
      if (!unnamed.ok) return unnamed;
      const removed = await cloudflare.removeTunnel(
        { name: entry.tunnelName, tunnel: entry.tunnel, force: input.force },
        signal,
      );
      return removed.ok ? ok({ ledger: unnamed.value, cleared: 'tunnel' }) : removed;
    }
    case 'forget': {
      if (!isStored(entry))
        return { ok: false, fault: fault('bug', `${step} of ${host}, whose ledger is not stored`) };
      const removed = await world.ledger.remove(entry, signal);
      return removed.ok ? ok({ ledger: null, cleared: 'tunnel' }) : removed;
    }
    default:
      return unreachable(step);
  }
}

/** The records that the ledger knows, led to another tunnel; null if there are none or somebody has to make way. */
async function redirected(
  { host, ledger, publishes }: StepInput,
  tunnelId: string,
  { cloudflare, identity }: StepWorld,
  signal: AbortSignal,
): Promise<Result<DnsRecords | null>> {
  const known = ledger === null ? null : knownRecords(ledger);
  if (known === null || !publishes) return ok(null);
  const dns = await cloudflare.ensureDns({ host, tunnelId, identity, known }, signal);
  return dns.ok || dispositionOf(dns.fault.code) !== 'await-change' ? dns : ok(null);
}

/** A new entry, or an existing one that goes to another Ingress or begins to be published. */
function record({ host, ingress, ledger, publishes }: StepInput, world: StepWorld, signal: AbortSignal) {
  const entry: LedgerEntry =
    ledger === null
      ? {
          host,
          ingress,
          identity: world.identity,
          tunnelName: tunnelName(world.identity, host),
          tunnel: null,
          publishes,
          dns: null,
          resourceVersion: null,
        }
      : { ...ledger, ingress, publishes: publishes || ledger.publishes };
  return write(entry, world, signal);
}

async function write(
  entry: LedgerEntry,
  world: StepWorld,
  signal: AbortSignal,
): Promise<Result<StepOutcome>> {
  const written = await world.ledger.put(entry, signal);
  return written.ok ? ok({ ledger: written.value, cleared: 'nothing' }) : written;
}
