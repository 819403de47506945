import { prefers } from './http/negotiate.ts';
import type { JsonObject } from './json.ts';
import { apiVersionOf, type ResourceDefinition } from './resources/definition.ts';
import { resourceTable } from './resources/table.ts';
import { reviews } from './reviews.ts';

/** The release whose behaviour the server has. */
export const serverVersion = {
  major: '1',
  minor: '36',
  emulationMajor: '1',
  emulationMinor: '36',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '35',
  gitVersion: 'v1.36.0+sandbox',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '2026-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: 'linux/amd64',
};

const aggregated = { g: 'apidiscovery.k8s.io', as: 'APIGroupDiscoveryList' };
const aggregatedVersions = ['v2', 'v2beta1'];

export interface DiscoveryAnswer {
  readonly body: JsonObject;
  readonly contentType?: string;
}

/** Answers a path of discovery (`/api`, `/apis/networking.k8s.io/v1`, …); null when it is none. */
export function discover(segments: readonly string[], accept: string | undefined): DiscoveryAnswer | null {
  const [root, group, version, ...tooMuch] = segments;
  if (tooMuch.length > 0) return null;
  if (root === 'api') {
    if (group === undefined) return overview(accept, ['']) ?? { body: legacyVersions() };
    return group === 'v1' && version === undefined ? resources('', 'v1') : null;
  }
  if (root !== 'apis') return null;
  if (group === undefined) return overview(accept, namedGroups()) ?? { body: groupList() };
  if (!namedGroups().includes(group)) return null;
  if (version === undefined) return { body: { kind: 'APIGroup', apiVersion: 'v1', ...groupEntry(group) } };
  return version === 'v1' ? resources(group, version) : null;
}

function namedGroups(): string[] {
  const stored = resourceTable.map(({ group }) => group).filter((group) => group !== '');
  return [...new Set([...stored, ...reviews.map(({ group }) => group)])];
}

function overview(accept: string | undefined, groups: readonly string[]): DiscoveryAnswer | null {
  const version = aggregatedVersions.find((v) => prefers(accept, { ...aggregated, v }));
  if (version === undefined) return null;
  return {
    contentType: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
    body: {
      kind: 'APIGroupDiscoveryList',
      apiVersion: `apidiscovery.k8s.io/${version}`,
      metadata: {},
      items: groups.map((group) => ({
        metadata: { ...(group !== '' && { name: group }), creationTimestamp: null },
        versions: [{ version: 'v1', resources: resourceDiscoveries(group), freshness: 'Current' }],
      })),
    },
  };
}

function resourceDiscoveries(group: string): JsonObject[] {
  const stored = resourceTable
    .filter((resource) => resource.group === group)
    .map((resource): JsonObject => {
      const responseKind = kindOf(resource);
      return {
        resource: resource.plural,
        responseKind,
        scope: resource.namespaced ? 'Namespaced' : 'Cluster',
        singularResource: resource.singular,
        verbs: [...resource.verbs],
        ...(resource.shortNames.length > 0 && { shortNames: [...resource.shortNames] }),
        ...(resource.categories.length > 0 && { categories: [...resource.categories] }),
        ...(resource.hasStatus && {
          subresources: [
            { subresource: 'status', responseKind, verbs: [...subresourceVerbs] },
            ...(resource.scales
              ? [{ subresource: 'scale', responseKind: scaleKind, verbs: [...subresourceVerbs] }]
              : []),
          ],
        }),
      };
    });
  const asked = reviews
    .filter((review) => review.group === group)
    .map(
      ({ plural, kind }): JsonObject => ({
        resource: plural,
        responseKind: { group, version: 'v1', kind },
        scope: 'Cluster',
        singularResource: kind.toLowerCase(),
        verbs: ['create'],
      }),
    );
  return [...stored, ...asked];
}

const subresourceVerbs = ['get', 'patch', 'update'];
const scaleKind = { group: 'autoscaling', version: 'v1', kind: 'Scale' };

function kindOf({ group, version, kind }: ResourceDefinition): JsonObject {
  return { group, version, kind };
}

function legacyVersions(): JsonObject {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: '127.0.0.1' }],
  };
}

function groupList(): JsonObject {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: namedGroups().map(groupEntry) };
}

function groupEntry(name: string): JsonObject {
  const version = { groupVersion: `${name}/v1`, version: 'v1' };
  return { name, versions: [version], preferredVersion: version };
}

function resources(group: string, version: string): DiscoveryAnswer {
  const stored = resourceTable
    .filter((resource) => resource.group === group)
    .flatMap((resource): JsonObject[] => {
      const { plural, singular, namespaced, kind } = resource;
      const main: JsonObject = {
        name: plural,
        singularName: singular,
        namespaced,
        kind,
        verbs: [...resource.verbs],
        ...(resource.shortNames.length > 0 && { shortNames: [...resource.shortNames] }),
        ...(resource.categories.length > 0 && { categories: [...resource.categories] }),
      };
      const status = {
        name: `${plural}/status`,
        singularName: '',
        namespaced,
        kind,
        verbs: [...subresourceVerbs],
      };
      const scale = { ...status, name: `${plural}/scale`, ...scaleKind };
      return [main, ...(resource.hasStatus ? [status] : []), ...(resource.scales ? [scale] : [])];
    });
  const asked = reviews
    .filter((review) => review.group === group)
    .map(
      ({ plural, kind }): JsonObject => ({
        name: plural,
        singularName: kind.toLowerCase(),
        namespaced: false,
        kind,
        verbs: ['create'],
      }),
    );
  return {
    body: {
      kind: 'APIResourceList',
      apiVersion: 'v1',
      groupVersion: apiVersionOf({ group, version }),
      resources: [...stored, ...asked],
    },
  };
}
