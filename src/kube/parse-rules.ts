import { z } from 'zod';
import { isPublishableHost } from '../domain/host.ts';
import type { BackendRef, HostRules, PathRule, Problem } from '../domain/ingress.ts';
import { pathOfText } from '../domain/url-path.ts';
import { quoted } from './parse-annotations.ts';

/** Tunnels of a whole account (and so of one Ingress), and paths of one host. */
const maxHosts = 1_000;
const maxPathsPerHost = 1_000;

/** Apart, so that the host of a rule is known whose paths cannot be read. */
const hostShape = z.object({ host: z.string().nullish() });
const httpShape = z.object({
  http: z.object({ paths: z.array(z.unknown()).nullish() }).nullish(),
});

const pathShape = z.object({
  path: z.string().nullish(),
  pathType: z.string().nullish(),
  backend: z.object({
    resource: z.unknown().optional(),
    service: z
      .object({
        name: z.string().min(1).max(253),
        port: z.object({ name: z.string().nullish(), number: z.number().nullish() }).nullish(),
      })
      .nullish(),
  }),
});

export interface ParsedRules {
  readonly hosts: readonly HostRules[];
  /** Named, but without a path that can be served, or with one that would wrongly be the default backend's. */
  readonly unservable: readonly string[];
  readonly problems: readonly Problem[];
}

/**
 * Hosts and paths of an Ingress, rules of one host merged. What cannot be served is a problem and left out; the
 * rest stands.
 */
export function parseRules(rules: unknown, defaultBackend: unknown): ParsedRules {
  const problems: Problem[] = [];
  const hosts = new Map<string, PathRule[]>();
  const named = new Set<string>();
  /** Hosts of which some path is left out. */
  const partial = new Set<string>();
  const report = (where: string, message: string): void => void problems.push({ where, message });

  const fallback = defaultBackend == null ? null : parseDefault(defaultBackend, report);
  if (rules != null && !Array.isArray(rules)) report('spec.rules', `${quoted(rules)}: expected a list`);

  for (const [index, rule] of (Array.isArray(rules) ? rules : []).entries()) {
    const where = `spec.rules[${index}]`;
    const naming = hostShape.safeParse(rule);
    if (!naming.success) {
      report(where, `cannot be read: ${firstIssue(naming.error)}`);
      continue;
    }
    const host = naming.data.host?.toLowerCase() ?? '';
    if (host === '') {
      report(
        `${where}.host`,
        'a rule without a host has no name under which it could be published: give it a host',
      );
      continue;
    }
    if (!isPublishableHost(host)) {
      const expected = host.split('.').some((label) => label.length > 63)
        ? 'no more than 63 characters between two dots'
        : 'a name like app.example.com or *.example.com';
      report(`${where}.host`, `${quoted(host)}: expected ${expected}`);
      continue;
    }
    named.add(host);
    const parsed = httpShape.safeParse(rule);
    if (!parsed.success) {
      report(where, `cannot be read: ${firstIssue(parsed.error)}`);
      partial.add(host);
      continue;
    }
    if (parsed.data.http == null && fallback !== null) {
      if (hosts.size < maxHosts) hosts.set(host, hosts.get(host) ?? []);
      continue;
    }
    if (parsed.data.http == null) {
      report(`${where}.http`, `${host} has no http section: expected http.paths with a backend`);
      continue;
    }
    const paths = (parsed.data.http.paths ?? [])
      .map((path, at) => parsePath(path, `${where}.http.paths[${at}]`, report))
      .filter((path) => path !== null);
    if (!parsed.data.http.paths?.length)
      report(`${where}.http.paths`, `${host} has no paths: expected at least one`);
    if (paths.length === 0 || paths.length < parsed.data.http.paths!.length) partial.add(host);
    if (paths.length === 0) continue;
    const merged = hosts.get(host) ?? [];
    if (!hosts.has(host) && hosts.size >= maxHosts) {
      report(`${where}.host`, `${host} is beyond the ${maxHosts} hosts that one Ingress may have`);
      continue;
    }
    hosts.set(host, merged);
    if (merged.length + paths.length > maxPathsPerHost) {
      report(`${where}.http.paths`, `${host} has more than ${maxPathsPerHost} paths; the rest is left out`);
      partial.add(host);
    }
    merged.push(...paths.slice(0, maxPathsPerHost - merged.length));
  }
  if (fallback !== null && hosts.size === 0) {
    report(
      'spec.defaultBackend',
      'a default backend has no host under which it could be published: name one in a rule',
    );
  }
  for (const [host, paths] of hosts) {
    // What no rule of the host matches is the default backend's (IngressSpec.defaultBackend).
    const hasAll = paths.some(({ match, path }) => match === 'prefix' && path === '/');
    if (fallback === null || hasAll) continue;
    if (!partial.has(host)) paths.push(fallback);
    else {
      report('spec.rules', `${host} stays as it is: what cannot be read must not go to the default backend`);
      hosts.delete(host);
    }
  }
  const unservable = [...named].filter((host) => !hosts.has(host)).slice(0, maxHosts);
  return { hosts: [...hosts].map(([host, paths]) => ({ host, paths })), unservable, problems };
}

/** The default backend as the path that everything else of a host falls to. */
function parseDefault(backend: unknown, report: (where: string, message: string) => void): PathRule | null {
  const parsed = pathShape.shape.backend.safeParse(backend);
  if (!parsed.success) {
    report('spec.defaultBackend', `cannot be read: ${firstIssue(parsed.error)}`);
    return null;
  }
  const ref = parseBackend(parsed.data, 'spec.defaultBackend', report);
  return ref && { path: '/', match: 'prefix', backend: ref, isDefault: true };
}

function parsePath(
  path: unknown,
  where: string,
  report: (where: string, message: string) => void,
): PathRule | null {
  const parsed = pathShape.safeParse(path);
  if (!parsed.success) {
    report(where, `cannot be read: ${firstIssue(parsed.error)}`);
    return null;
  }
  const { pathType, backend } = parsed.data;
  const match = matchOf(pathType);
  if (match === null) {
    report(`${where}.pathType`, `${quoted(pathType)}: expected Exact, Prefix or ImplementationSpecific`);
    return null;
  }
  // HTTPIngressPath: only ImplementationSpecific may leave the path out, and then it means all of them.
  const text = parsed.data.path || '/';
  if (!text.startsWith('/')) {
    report(`${where}.path`, `${quoted(text)}: expected a path that begins with /`);
    return null;
  }
  const ref = parseBackend(backend, `${where}.backend`, report);
  return ref && { path: pathOfText(text), match, backend: ref };
}

/** Missing is read as ImplementationSpecific, which is a prefix here. */
function matchOf(pathType: string | null | undefined): PathRule['match'] | null {
  if (pathType === 'Exact') return 'exact';
  if (pathType === 'Prefix' || pathType === 'ImplementationSpecific' || pathType == null) return 'prefix';
  return null;
}

function parseBackend(
  { service, resource }: z.infer<typeof pathShape>['backend'],
  where: string,
  report: (where: string, message: string) => void,
): BackendRef | null {
  if (service == null) {
    const seen = resource == null ? 'there is no service' : 'a resource backend cannot be served';
    report(where, `${seen}: expected service.name and service.port`);
    return null;
  }
  const { name, number } = service.port ?? {};
  const byName = name != null && name !== '';
  const byNumber = number != null && number !== 0;
  if (byName && !byNumber && name.length <= 63) return { service: service.name, port: { by: 'name', name } };
  if (byNumber && !byName && Number.isInteger(number) && number >= 1 && number <= 65_535) {
    return { service: service.name, port: { by: 'number', number } };
  }
  report(
    `${where}.service.port`,
    `${quoted(service.port ?? null)}: expected either a number from 1 to 65535 or a name`,
  );
  return null;
}

function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'not of the expected form';
  return issue.path.length === 0 ? issue.message : `${issue.path.join('.')}: ${issue.message}`;
}
