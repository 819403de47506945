import type { AccessPolicy } from './access.ts';
import type { OriginSettings } from './ingress.ts';

/**
 * What a connector needs to route: plain data, whole and immutable. It crosses the link and replaces the
 * table before it; running requests finish on the old one.
 */
export interface RouteTable {
  /** The tunnel's host: `app.example.com` or `*.example.com`. Requests for other hosts are answered 404. */
  readonly host: string;
  /** In the order of precedence: the first whose path matches wins (`sortedRoutes`). */
  readonly routes: readonly Route[];
  /** Whom the connector admits at all; null is everybody. */
  readonly access: AccessPolicy | null;
}

export interface Route {
  /** As `url-path` has it. */
  readonly path: string;
  readonly match: 'exact' | 'prefix';
  readonly target: RouteTarget;
}

/** `status`: answered by the connector itself (a backend that is not there: 503). */
export type RouteTarget =
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'origin'; readonly origin: Origin };

export interface Origin {
  /** At least one: a cluster IP, a DNS name, or the ready endpoints. */
  readonly addresses: readonly OriginAddress[];
  readonly settings: OriginSettings;
  /** PEM, trusted besides the public roots; null: only those. */
  readonly ca: string | null;
}

export interface OriginAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Ingress precedence (Kubernetes API, HTTPIngressPath): the longest path first, an exact match before a prefix
 * of the same length.
 */
export function sortedRoutes(routes: readonly Route[]): readonly Route[] {
  return routes.toSorted((a, b) => specificity(b) - specificity(a));
}

/** `/foo/` and `/foo` are the same prefix, so they count as equally long. */
function specificity(route: Route): number {
  const length = route.match === 'prefix' ? trimSlash(route.path).length : route.path.length;
  return length * 2 + (route.match === 'exact' ? 1 : 0);
}

/** The first route that matches `path` (without query), or null: the answer is 404. */
export function matchRoute(table: RouteTable, path: string): Route | null {
  for (const route of table.routes) if (routeMatches(route, path)) return route;
  return null;
}

/** Prefixes match by path element: `/foo` matches `/foo`, `/foo/` and `/foo/bar`, never `/foobar`. */
function routeMatches(route: Route, path: string): boolean {
  if (route.match === 'exact') return path === route.path;
  const prefix = trimSlash(route.path);
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');
}

/** `*.example.com` matches exactly one label in front (Kubernetes API, IngressRule.host). */
export function hostMatches(pattern: string, host: string): boolean {
  if (!pattern.startsWith('*.')) return pattern === host;
  const dot = host.indexOf('.');
  return dot > 0 && host.slice(dot + 1) === pattern.slice(2);
}

function trimSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}
