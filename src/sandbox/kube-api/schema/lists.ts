/**
 * How lists and maps merge, as the published API says (`x-kubernetes-patch-*`, `x-kubernetes-list-*` and
 * `x-kubernetes-map-type` of the OpenAPI document). A list that is not named here is replaced as a whole; a
 * map or struct that is not named here is merged field by field.
 */
export interface ListMerge {
  /** Strategic merge patch: merge items that have the same value of this field, or equal primitives for `''`. */
  readonly patchKey?: string;
  /** Strategic merge patch: an item given in a patch keeps only the keys that `$retainKeys` names. */
  readonly retainKeys?: true;
  /** Server-side apply: items are identified by these fields; an empty list makes the list a set. */
  readonly keys?: readonly string[];
}

const named = { patchKey: 'name', keys: ['name'] };
const conditions = { patchKey: 'type', keys: ['type'] };
const containerPorts = { patchKey: 'containerPort', keys: ['containerPort', 'protocol'] };
const devices = { patchKey: 'devicePath', keys: ['devicePath'] };
const mounts = { patchKey: 'mountPath', keys: ['mountPath'] };

export const listMerges: { readonly [modelAndField: string]: ListMerge } = {
  'V1ObjectMeta.finalizers': { patchKey: '', keys: [] },
  'V1ObjectMeta.ownerReferences': { patchKey: 'uid', keys: ['uid'] },
  'V1ServiceSpec.ports': { patchKey: 'port', keys: ['port', 'protocol'] },
  'V1ServiceStatus.conditions': conditions,
  'V1Endpoint.addresses': { keys: [] },
  'V1NamespaceStatus.conditions': conditions,
  'V1DeploymentStatus.conditions': conditions,
  'V1ReplicaSetStatus.conditions': conditions,
  'V1PodDisruptionBudgetStatus.conditions': conditions,
  'V1ServiceAccount.secrets': named,
  'V1PodSpec.containers': named,
  'V1PodSpec.initContainers': named,
  'V1PodSpec.ephemeralContainers': named,
  'V1PodSpec.hostAliases': { patchKey: 'ip', keys: ['ip'] },
  'V1PodSpec.imagePullSecrets': named,
  'V1PodSpec.resourceClaims': { ...named, retainKeys: true },
  'V1PodSpec.schedulingGates': named,
  'V1PodSpec.topologySpreadConstraints': {
    patchKey: 'topologyKey',
    keys: ['topologyKey', 'whenUnsatisfiable'],
  },
  'V1PodSpec.volumes': { ...named, retainKeys: true },
  'V1Container.env': named,
  'V1Container.ports': containerPorts,
  'V1Container.volumeDevices': devices,
  'V1Container.volumeMounts': mounts,
  'V1EphemeralContainer.env': named,
  'V1EphemeralContainer.ports': containerPorts,
  'V1EphemeralContainer.volumeDevices': devices,
  'V1EphemeralContainer.volumeMounts': mounts,
  'V1ResourceRequirements.claims': { keys: ['name'] },
  'V1ContainerRestartRuleOnExitCodes.values': { keys: [] },
  'V1PodStatus.conditions': conditions,
  'V1PodStatus.hostIPs': { patchKey: 'ip' },
  'V1PodStatus.podIPs': { patchKey: 'ip', keys: ['ip'] },
  'V1PodStatus.resourceClaimStatuses': { ...named, retainKeys: true },
  'V1ContainerStatus.allocatedResourcesStatus': named,
  'V1ContainerStatus.volumeMounts': mounts,
  'V1ResourceStatus.resources': { keys: ['resourceID'] },
};

/** What an item of a keyed list means when it does not say. */
export const keyDefaults: { readonly [field: string]: string } = { protocol: 'TCP' };

/** Structs whose fields have one owner together. */
export const atomicModels: ReadonlySet<string> = new Set([
  'V1OwnerReference',
  'V1TypedLocalObjectReference',
  'V1ServiceBackendPort',
  'V1LabelSelector',
  'V1ObjectReference',
  'DiscoveryV1EndpointPort',
  'CoreV1EndpointPort',
  'V1EndpointAddress',
  'V1NodeSelectorTerm',
  'V1NodeSelector',
  'V1ConfigMapKeySelector',
  'V1ObjectFieldSelector',
  'V1FileKeySelector',
  'V1ResourceFieldSelector',
  'V1SecretKeySelector',
  'V1LocalObjectReference',
  'V1RoleRef',
  'RbacV1Subject',
]);

/** Maps of strings that have one owner. */
export const atomicMaps: ReadonlySet<string> = new Set(['V1ServiceSpec.selector', 'V1PodSpec.nodeSelector']);

/** Structs that a strategic merge patch replaces (`patchStrategy: replace`) or prunes (`retainKeys`). */
export const structMerges: { readonly [modelAndField: string]: 'replace' | 'retainKeys' } = {
  'V1PodDisruptionBudgetSpec.selector': 'replace',
  'V1DeploymentSpec.strategy': 'retainKeys',
};
