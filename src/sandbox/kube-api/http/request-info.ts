import type { ResourceDefinition } from '../resources/definition.ts';
import { findResource } from '../resources/table.ts';

/** A path under `/api` or `/apis` that names a kind. */
export interface ResourcePath {
  readonly definition: ResourceDefinition;
  /** Empty for kinds without namespaces, and for requests across all of them. */
  readonly namespace: string;
  /** Empty when the path names a collection. */
  readonly name: string;
  readonly subresource: string;
}

/** What a path names; null when nothing is there. Segments are decoded. */
export function parseResourcePath(segments: readonly string[]): ResourcePath | null {
  const [root, ...rest] = segments;
  if (root === 'api') return parseVersion('', rest);
  if (root === 'apis') return parseVersion(rest[0] ?? '', rest.slice(1));
  return null;
}

function parseVersion(group: string, segments: readonly string[]): ResourcePath | null {
  const [version = '', ...rest] = segments;
  const scoped =
    rest[0] === 'namespaces' && rest.length > 2 && rest[2] !== 'status' && rest[2] !== 'finalize';
  const [namespace = '', [plural = '', name = '', subresource = '', ...tooMuch]] = scoped
    ? [rest[1], rest.slice(2)]
    : ['', rest];
  const definition = findResource(group, version, plural);
  if (definition === null || tooMuch.length > 0) return null;
  if (scoped !== definition.namespaced && (scoped || name !== '')) return null;
  return { definition, namespace, name, subresource };
}
