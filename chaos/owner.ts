import type { KubeObject as StoredObject } from '../src/sandbox/kube-api/json.ts';
import type { KubeApi } from '../src/sandbox/kube-api/kube-api.ts';
import { plainDeletion } from '../src/sandbox/kube-api/registry/deletion.ts';
import { secrets } from '../src/sandbox/kube-api/resources/data.ts';
import type { ResourceDefinition } from '../src/sandbox/kube-api/resources/definition.ts';
import { endpointSlices } from '../src/sandbox/kube-api/resources/endpoints.ts';
import { coreEvents } from '../src/sandbox/kube-api/resources/event.ts';
import { ingresses } from '../src/sandbox/kube-api/resources/ingress.ts';
import { pods } from '../src/sandbox/kube-api/resources/pod.ts';
import { services } from '../src/sandbox/kube-api/resources/service.ts';
import { deployments } from '../src/sandbox/kube-api/resources/workload.ts';
import type { KubeObject } from '../test/support/kube-user.ts';

const definitions: Readonly<Record<string, ResourceDefinition>> = {
  Ingress: ingresses,
  Service: services,
  EndpointSlice: endpointSlices,
  Secret: secrets,
  Event: coreEvents,
  Deployment: deployments,
  Pod: pods,
};

/**
 * Whoever owns the Ingresses. Writes past the API server's faults, so that the world goes on changing while the
 * controller cannot see it.
 */
export class Owner {
  readonly #kubernetes: KubeApi;
  readonly #namespace: string;

  constructor(kubernetes: KubeApi, namespace: string) {
    this.#kubernetes = kubernetes;
    this.#namespace = namespace;
  }

  /** Creates, or replaces all but the status. */
  apply(...objects: readonly KubeObject[]): void {
    const { registry } = this.#kubernetes;
    const options = { dryRun: false, writer: null };
    for (const object of objects) {
      const target = this.#target(object.kind, object.metadata.name);
      const given = structuredClone(object) as unknown as StoredObject;
      if (registry.find(target) === null) {
        registry.create(target.definition, this.#namespace, given as never, options);
      } else {
        registry.update(
          target,
          '',
          options,
          (old) =>
            ({
              ...given,
              metadata: {
                ...old.metadata,
                ...given.metadata,
                annotations: given.metadata.annotations ?? {},
              },
            }) as never,
        );
      }
    }
  }

  /** Changes one annotation and nothing else; false when there is no such object. */
  annotate(kind: string, name: string, key: string, value: string): boolean {
    const { registry } = this.#kubernetes;
    const target = this.#target(kind, name);
    if (registry.find(target) === null) return false;
    const annotated = (old: StoredObject) => {
      const annotations = { ...old.metadata.annotations, [key]: value };
      return { ...old, metadata: { ...old.metadata, annotations } };
    };
    registry.update(target, '', { dryRun: false, writer: null }, (old) => annotated(old) as never);
    return true;
  }

  remove(kind: string, name: string): void {
    const target = this.#target(kind, name);
    if (this.#kubernetes.registry.find(target) !== null) {
      this.#kubernetes.registry.delete(target, plainDeletion);
    }
  }

  list(kind: string): readonly StoredObject[] {
    return [...this.#kubernetes.store.values(definitions[kind]!.storage)].filter(
      ({ metadata }) => metadata.namespace === this.#namespace,
    );
  }

  #target(kind: string, name: string) {
    return { definition: definitions[kind]!, namespace: this.#namespace, name };
  }
}
