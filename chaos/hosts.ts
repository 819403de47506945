import { ingress, service, servicePort, slice } from '../test/support/manifests.ts';

/** A host with all that is its own: Ingress, Service, endpoints, by one name. */
export interface Host {
  readonly name: string;
  readonly host: string;
  /** In which its tunnel runs; 0: in threads of the controller. */
  readonly pods: number;
  /** How its origin is reached (`origin-via`). */
  readonly via: 'service' | 'endpoints';
}

/**
 * The last ones are in pods: the first of these in one, the others in two. Of those in threads every second one is reached
 * by its endpoints.
 */
export function hostsNumbered(count: number, inPods: number): readonly Host[] {
  return Array.from({ length: count }, (_, index) => {
    const place = index - (count - inPods);
    return {
      name: `h${index}`,
      host: `h${index}.example.com`,
      pods: place < 0 ? 0 : place === 0 ? 1 : 2,
      via: place < 0 && index % 2 === 1 ? 'endpoints' : 'service',
    };
  });
}

/** Where a host goes that is changed in place. */
export function otherHost(host: Host): Host {
  return { ...host, host: `${host.name}.example.org` };
}

export function ingressOf(
  { name, host, pods, via }: Host,
  annotations: Readonly<Record<string, string>> = {},
  className?: string | null,
) {
  const mode = { 'cloudflare-warp/mode': 'pod', 'cloudflare-warp/replicas': `${pods}` };
  const byEndpoints = { 'cloudflare-warp/origin-via': 'endpoints' };
  return ingress(name, host, {
    paths: [{ service: name, port: servicePort }],
    annotations: { ...(pods > 0 && mode), ...(via === 'endpoints' && byEndpoints), ...annotations },
    ...(className !== undefined && { className }),
  });
}

/** The same Ingress when it is not the controller's any more: of another class, or of none. */
export function withoutClass(host: Host, pick: number) {
  return ingressOf(host, {}, pick % 2 === 0 ? 'nginx' : null);
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
