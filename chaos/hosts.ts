import { ingress, service, servicePort, slice } from '../test/support/manifests.ts';

/** A host with all that is its own: Ingress, Service, endpoints, by one name. */
export interface Host {
  readonly name: string;
  readonly host: string;
}

export function hostsNumbered(count: number): readonly Host[] {
  return Array.from({ length: count }, (_, index) => ({ name: `h${index}`, host: `h${index}.example.com` }));
}

/** Where a host goes that is changed in place. */
export function otherHost({ name }: Host): Host {
  return { name, host: `${name}.example.org` };
}

export function ingressOf({ name, host }: Host, annotations: Readonly<Record<string, string>> = {}) {
  return ingress(name, host, { paths: [{ service: name, port: servicePort }], annotations });
}

export function serviceOf({ name }: Host) {
  return service(name);
}

export function endpointsOf({ name }: Host, port: number, ready = true) {
  return slice(`${name}-1`, name, port, [{ address: '127.0.0.1', ready }]);
}

/** What takes the place of the first slice when endpoints roll. */
export function moreEndpointsOf({ name }: Host, port: number) {
  return slice(`${name}-2`, name, port, [{ address: '127.0.0.1' }]);
}
