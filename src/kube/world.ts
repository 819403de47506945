import type { WorldMessage } from '../actors/messages.ts';
import type { IngressRef } from '../actors/ports.ts';
import type { EventNote } from '../domain/event.ts';
import type { IngressSettings, IngressSpec } from '../domain/ingress.ts';
import { ok, type Result, unreachable } from '../fault.ts';
import type { Logger } from '../log.ts';
import type { Clock } from '../time/clock.ts';
import type { KubeClient } from './client.ts';
import { hostHashLabel, hostOfLedger, parseLedgerSecret } from './ledger-secret.ts';
import { parseIngress } from './parse-ingress.ts';
import { parseMeta } from './parse-meta.ts';
import { parseService } from './parse-service.ts';
import { parseSlice } from './parse-slice.ts';
import { startWatch, type Watch, type WatchOptions, type WatchTelemetry } from './watch.ts';

export interface WorldOptions {
  readonly client: KubeClient;
  readonly ingressClass: string;
  /** What an Ingress without annotations gets. */
  readonly defaults: IngressSettings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly telemetry: WatchTelemetry;
  /** In [0, 1). */
  readonly random?: () => number;
  readonly tell: (message: WorldMessage) => void;
  /** An Ingress that is not ours and yet names us: its user should hear that (`IngressSink.event`). */
  readonly notice: (ingress: IngressRef, note: EventNote) => void;
}

export interface World {
  /** Success: everything told is as new as this call (`Watch.refresh`). */
  refresh(signal: AbortSignal): Promise<Result<void>>;
  /** Nothing is told from now on; resolves when the connections are gone. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Watches the Ingresses, Services, EndpointSlices and ledger Secrets of one namespace and tells each change as
 * one message; `world.synced` once, after all four have been listed and told. Keeps names, the Ingresses that were
 * told as ours, and the hosts of ledgers; the copy of the world is the receiver's.
 */
export function startWorld(options: WorldOptions): World {
  const { client, clock, log, telemetry, tell } = options;
  const common = { client, clock, log, telemetry, random: options.random ?? Math.random };
  const waitingFor = new Set<WatchOptions['resource']>([
    'ingresses',
    'services',
    'endpointslices',
    'secrets',
  ]);

  function watch(kind: Omit<WatchOptions, keyof typeof common | 'listed'>): Watch {
    const listed = (): void => {
      if (waitingFor.delete(kind.resource) && waitingFor.size === 0) tell({ type: 'world.synced' });
    };
    return startWatch({ ...common, ...kind, listed });
  }

  const unreadable = (kind: string, name: string, detail?: string): void =>
    log.warn({ kind, name, detail }, 'object cannot be read and is passed over');

  const watches = [
    watch({ resource: 'ingresses', ...ingressSide(options, unreadable) }),
    watch({
      resource: 'services',
      present: (name, object) => {
        const service = parseService(object);
        if (service === null) unreadable('services', name);
        else tell({ type: 'service.present', service });
      },
      removed: (name) => tell({ type: 'service.removed', name }),
    }),
    watch({ resource: 'endpointslices', ...sliceSide(tell) }),
    watch({ resource: 'secrets', labelSelector: hostHashLabel, ...ledgerSide(options, unreadable) }),
  ];
  return {
    async refresh(signal) {
      const results = await Promise.all(watches.map((each) => each.refresh(signal)));
      return results.find((result) => !result.ok) ?? ok(undefined);
    },
    async stop() {
      await Promise.all(watches.map((each) => each.stop()));
    },
  };
}

type Side = Pick<WatchOptions, 'present' | 'removed'>;
type Unreadable = (kind: string, name: string, detail?: string) => void;

function ingressSide({ ingressClass, defaults, tell, notice }: WorldOptions, unreadable: Unreadable): Side {
  const told = new Map<string, IngressSpec>();
  const removed = (name: string): void => {
    if (told.delete(name)) tell({ type: 'ingress.removed', key: name });
  };
  return {
    removed,
    present(name, object) {
      const parsed = parseIngress(object, { ingressClass, defaults });
      switch (parsed.kind) {
        case 'ours':
          told.set(name, parsed.spec);
          return tell({ type: 'ingress.present', spec: parsed.spec });
        case 'foreign': {
          if (parsed.conflict !== null) {
            const { where, message } = parsed.conflict;
            const note = {
              type: 'Warning',
              reason: 'InvalidIngress',
              message: `${where}: ${message}`,
            } as const;
            notice({ name, uid: parsed.uid }, note);
          }
          const parting = partingOf(told.get(name), parsed);
          return parting === null ? removed(name) : tell({ type: 'ingress.present', spec: parting });
        }
        case 'unreadable':
          // "Cannot be read" is not "is gone": what was told before stays.
          return unreadable('ingresses', name);
        default:
          return unreachable(parsed);
      }
    },
  };
}

/**
 * One that is not ours any more but whose status has nothing but what we wrote there: without a host it stays until
 * that has been taken back. Null when there is nothing to take back, or somebody else has written there since.
 */
function partingOf(
  former: IngressSpec | undefined,
  { uid, publishedHostnames }: { readonly uid: string; readonly publishedHostnames: readonly string[] },
): IngressSpec | null {
  if (former?.uid !== uid || publishedHostnames.length === 0) return null;
  if (!publishedHostnames.every((hostname) => former.publishedHostnames.includes(hostname))) return null;
  const nothing = { hosts: [], unservable: [], asksForTls: false, problems: [], ignored: [], refused: false };
  return { ...former, ...nothing, publishedHostnames };
}

/** A slice without a Service (others may write such) concerns nobody here. */
function sliceSide(tell: WorldOptions['tell']): Side {
  const told = new Set<string>();
  const removed = (name: string): void => {
    if (told.delete(name)) tell({ type: 'slice.removed', name });
  };
  return {
    removed,
    present(name, object) {
      const slice = parseSlice(object);
      if (slice === null) return removed(name);
      told.add(name);
      tell({ type: 'slice.present', slice });
    },
  };
}

function ledgerSide({ tell, log }: WorldOptions, unreadable: Unreadable): Side {
  const hosts = new Map<string, string>();
  return {
    present(name, object) {
      const parsed = parseLedgerSecret(object);
      if (!parsed.ok) {
        const host = hostOfLedger(object);
        if (host === null) return unreadable('secrets', name, parsed.fault.message);
        // Somebody has taken its data away, so there is no ledger any more: as if it had been deleted, it is made anew.
        log.warn({ host, name }, 'ledger emptied by somebody');
        hosts.set(name, host);
        return tell({
          type: 'ledger.removed',
          host,
          resourceVersion: parseMeta(object)?.resourceVersion ?? null,
        });
      }
      hosts.set(name, parsed.value.host);
      tell({ type: 'ledger.present', entry: parsed.value });
    },
    removed(name, resourceVersion) {
      const host = hosts.get(name);
      if (host === undefined) return;
      hosts.delete(name);
      tell({ type: 'ledger.removed', host, resourceVersion });
    },
  };
}
