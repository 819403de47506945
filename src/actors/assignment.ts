import { ignoredBeside, mergeHost } from '../domain/claims.ts';
import { caSecretsOf, type OriginCa, servicesOf } from '../domain/compile-host.ts';
import type { IngressKey } from '../domain/ingress.ts';
import type { Fault } from '../fault.ts';
import type { Holdings } from './holdings.ts';
import type { Assignment } from './messages.ts';
import type { World } from './world.ts';

/** What the supervisor knows; an assignment is one Ingress' view of it. */
interface Known {
  readonly world: World;
  readonly holdings: Holdings;
  /** Host → its tunnel's name, while that is up. */
  readonly servedAt: ReadonlyMap<string, { readonly hostname: string }>;
  /** By Secret. */
  readonly cas: ReadonlyMap<string, OriginCa>;
  readonly credentialsFault: Fault | null;
}

/** What that Ingress' actor is responsible for now. Pure. */
export function assignmentOf(
  key: IngressKey,
  { world, holdings, servedAt, cas, credentialsFault }: Known,
): Assignment {
  const known = world.ingress(key);
  const spec = known?.effective ?? null;
  const held = new Map(holdings.heldBy(key));
  const isMine = (host: string): boolean => world.ownerOf(host) === key;
  const named = (spec?.hosts ?? []).map(({ host }) => {
    const seniority = world.seniority(host);
    const { rules, contributed, lost } = mergeHost(host, seniority);
    // What it still holds it has yet to hand over.
    const own = held.has(host) ? null : (contributed.get(key) ?? null);
    return { host, rules, own, taken: lost.filter(({ from }) => from === key), owner: seniority[0]! };
  });
  const contributed = named.flatMap(({ own }) => own ?? []);
  const owners = new Set(named.flatMap(({ own, owner }) => (own === null ? [] : owner)));
  const hosts = named.filter(({ host }) => isMine(host) && held.has(host)).map(({ rules }) => rules);
  return {
    ingress: { name: key, uid: known?.newest.uid ?? '' },
    held,
    hosts,
    released: [...held.keys()].filter((host) => !isMine(host) && world.ownerOf(host) !== null),
    alsoRun: [...held.keys()].filter((host) => holdings.hasFormer(host)),
    lingering: holdings.lingeringOf(key),
    namesHosts: named.length > 0,
    keepOthers: known?.newest.refused ?? false,
    kept: spec?.unservable ?? [],
    settings: spec?.settings ?? null,
    contributed,
    backends: new Map(
      Array.from(servicesOf([...hosts, ...contributed]), (name) => [name, world.backend(name)]),
    ),
    cas: new Map(
      [...(spec === null ? [] : caSecretsOf([...hosts, ...contributed], spec.settings))].flatMap((secret) => {
        const ca = cas.get(secret);
        return ca === undefined ? [] : [[secret, ca]];
      }),
    ),
    ledger: [...held.keys()].flatMap((host) => world.ledger(host) ?? []),
    publishedHostnames: known?.newest.publishedHostnames ?? [],
    asksForTls: known?.newest.asksForTls ?? false,
    problems: known?.newest.problems ?? [],
    ignored: [
      ...(known?.newest.ignored ?? []),
      ...Array.from(owners).flatMap((owner) => ignoredBeside(owner, spec!)),
    ],
    credentialsFault,
    taken: named.flatMap(({ taken }) => taken),
    servedBy: named.flatMap(({ host, own, owner }) => {
      const hostname = servedAt.get(host)?.hostname;
      return own === null || hostname === undefined ? [] : [{ host, owner: owner.key, hostname }];
    }),
  };
}

/**
 * These Ingresses, and those in whose tunnels their paths are routed: they route them, and it is the Ingress that has a
 * path that says what it misses. Pure.
 */
export function routersOf(
  keys: ReadonlySet<IngressKey>,
  world: World,
  holdings: Holdings,
): ReadonlySet<IngressKey> {
  const concerned = new Set(keys);
  for (const key of keys) {
    for (const { host } of world.ingress(key)?.effective?.hosts ?? []) {
      const holder = holdings.holderOf(host);
      if (holder !== null) concerned.add(holder);
    }
  }
  return concerned;
}
