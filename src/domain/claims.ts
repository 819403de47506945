import {
  type HostRules,
  type IngressKey,
  type IngressSettings,
  type IngressSpec,
  type PathRule,
  type Problem,
  tunnelSetting,
} from './ingress.ts';

/**
 * The Ingresses that name a host, its owner first: the oldest has it. Kubernetes counts ages in seconds; of two of the
 * same age the one that has the host keeps it, else the lower uid decides, so that every replica decides alike.
 */
export function bySeniority(
  claimants: Iterable<IngressSpec>,
  incumbent: IngressKey | null,
): readonly IngressSpec[] {
  return [...claimants].sort((a, b) => {
    if (a.createdAtMs !== b.createdAtMs) return a.createdAtMs - b.createdAtMs;
    if (a.key === incumbent || b.key === incumbent) return a.key === incumbent ? -1 : 1;
    return a.uid < b.uid ? -1 : 1;
  });
}

export interface MergedHost {
  readonly rules: HostRules;
  /** Of those, the paths of Ingresses that do not own the host, by whose they are. */
  readonly contributed: ReadonlyMap<IngressKey, HostRules>;
  /** Paths that are not served because another Ingress is in the way. */
  readonly lost: readonly LostPath[];
}

export interface LostPath {
  readonly from: IngressKey;
  readonly host: string;
  readonly path: string;
  readonly to: IngressKey;
  /** The older Ingress has the same path, or another Access protection; or a rule goes before a default backend. */
  readonly because: 'path' | 'access' | 'default';
}

/**
 * The paths of all Ingresses that name a host, routed inside its one tunnel. The oldest wins a conflict: the same
 * path with the same match; only a default backend makes way for the rule of whichever Ingress. An Ingress that asks
 * for another Access protection than the owner does not share the host, because a tunnel is protected as a whole.
 */
export function mergeHost(host: string, seniority: readonly IngressSpec[]): MergedHost {
  const [owner, ...others] = seniority;
  const paths = new Map<string, { readonly rule: PathRule; readonly from: IngressKey }>();
  const lost: LostPath[] = [];
  const rulesOf = (spec: IngressSpec): readonly PathRule[] =>
    spec.hosts.find((rules) => rules.host === host)?.paths ?? [];

  for (const rule of owner === undefined ? [] : rulesOf(owner)) {
    const key = keyOf(rule);
    // Within one Ingress the first of two equal paths counts, as it is written.
    if (!paths.has(key)) paths.set(key, { rule, from: owner!.key });
  }
  for (const spec of others) {
    const shares = sameAccess(spec.settings.access, owner!.settings.access);
    for (const rule of rulesOf(spec)) {
      const key = keyOf(rule);
      const older = paths.get(key);
      if (older?.from === spec.key) continue;
      const of = { host, path: rule.path };
      const goesBefore = older?.rule.isDefault === true && rule.isDefault === undefined;
      if (!shares) {
        lost.push({ ...of, from: spec.key, to: older?.from ?? owner!.key, because: 'access' });
      } else if (older === undefined || goesBefore) {
        paths.set(key, { rule: { ...rule, settings: spec.settings }, from: spec.key });
        if (goesBefore) lost.push({ ...of, from: older!.from, to: spec.key, because: 'default' });
      } else {
        const because = rule.isDefault === older.rule.isDefault ? 'path' : 'default';
        lost.push({ ...of, from: spec.key, to: older.from, because });
      }
    }
  }
  const contributed = new Map<IngressKey, HostRules>();
  for (const { key } of others) {
    const own = [...paths.values()].filter(({ from }) => from === key).map(({ rule }) => rule);
    if (own.length > 0) contributed.set(key, { host, paths: own });
  }
  return { rules: { host, paths: Array.from(paths.values(), ({ rule }) => rule) }, contributed, lost };
}

/**
 * What an Ingress says of tunnels and does not get where its paths are routed in that of the owner of their host; not what
 * it gets nowhere.
 */
export function ignoredBeside(owner: IngressSpec, guest: IngressSpec): readonly Problem[] {
  return guest.ofTunnel
    .filter((name) => tunnelSetting(guest.settings, name) !== tunnelSetting(owner.settings, name))
    .map((name) => ({ name, where: `metadata.annotations[cloudflare-warp/${name}]` }))
    .filter(({ where }) => guest.ignored.every((already) => already.where !== where))
    .map(({ name, where }) => ({
      where,
      message: `changes nothing of hosts that are served through the tunnel of the older Ingress "${owner.key}", where it is ${tunnelSetting(owner.settings, name)}; expected it there, or that it is removed`,
    }));
}

function keyOf({ match, path }: PathRule): string {
  return `${match} ${path}`;
}

function sameAccess(one: IngressSettings['access'], other: IngressSettings['access']): boolean {
  if (one === null || other === null) return one === other;
  return one.team === other.team && [...one.audience].sort().join() === [...other.audience].sort().join();
}
