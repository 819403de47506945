/** Services and EndpointSlices as the controller knows them: parsed at the border, immutable. */

export interface ServiceSpec {
  readonly name: string;
  readonly uid: string;
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
  /** Null for headless and ExternalName Services. */
  readonly clusterIp: string | null;
  readonly externalName: string | null;
  readonly ports: readonly ServicePort[];
}

export interface ServicePort {
  /** Empty when the Service has one unnamed port. */
  readonly name: string;
  readonly port: number;
}

export interface SliceSpec {
  /** Name of the EndpointSlice. */
  readonly name: string;
  /** Its Service, from the label `kubernetes.io/service-name`. */
  readonly service: string;
  /** A slice's port carries the *Service* port's name and the already resolved target number. */
  readonly ports: readonly SlicePort[];
  /** Addresses whose condition `ready` is true or absent (EndpointConditions); the others are not kept. */
  readonly readyAddresses: readonly string[];
}

export interface SlicePort {
  readonly name: string;
  /** Null means "all ports" (EndpointPort). */
  readonly port: number | null;
}

/** All that is known of one Service name. Shared by reference; there is one copy, the supervisor's. */
export interface BackendView {
  readonly service: ServiceSpec | null;
  readonly slices: readonly SliceSpec[];
}

/** All that is known of every Service name. */
export function backendsOf(
  services: readonly ServiceSpec[],
  slices: readonly SliceSpec[],
): ReadonlyMap<string, BackendView> {
  const names = new Set([...services.map(({ name }) => name), ...slices.map(({ service }) => service)]);
  const serviceOf = new Map(services.map((service) => [service.name, service]));
  const slicesOf = Map.groupBy(slices, ({ service }) => service);
  return new Map(
    Array.from(names, (name) => [
      name,
      { service: serviceOf.get(name) ?? null, slices: slicesOf.get(name) ?? [] },
    ]),
  );
}
