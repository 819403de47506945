import { roleBindings, roles, serviceAccounts } from './access.ts';
import { leases, namespaces, networkPolicies, podDisruptionBudgets } from './cluster.ts';
import { configMaps, secrets } from './data.ts';
import type { ResourceDefinition } from './definition.ts';
import { endpointSlices, endpoints } from './endpoints.ts';
import { coreEvents, groupEvents } from './event.ts';
import { ingressClasses, ingresses } from './ingress.ts';
import { pods } from './pod.ts';
import { services } from './service.ts';
import { deployments, replicaSets } from './workload.ts';

/** Every kind that the server stores. Its groups, in this order, are what discovery tells. */
export const resourceTable: readonly ResourceDefinition[] = [
  configMaps,
  endpoints,
  coreEvents,
  namespaces,
  pods,
  secrets,
  serviceAccounts,
  services,
  deployments,
  replicaSets,
  groupEvents,
  ingressClasses,
  ingresses,
  networkPolicies,
  podDisruptionBudgets,
  roleBindings,
  roles,
  leases,
  endpointSlices,
];

export function findResource(group: string, version: string, plural: string): ResourceDefinition | null {
  const found = resourceTable.find(
    (resource) => resource.group === group && resource.version === version && resource.plural === plural,
  );
  return found ?? null;
}

/** The definition under whose name objects of a collection are stored. */
export function definitionOfStorage(storage: string): ResourceDefinition {
  const found = resourceTable.find((resource) => resource.storage === storage);
  if (found === undefined) throw new Error(`no such storage: ${storage}`);
  return found;
}
