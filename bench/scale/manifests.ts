/** The objects of one application: an Ingress with one host, its Service and its EndpointSlice. */

export const zoneName = 'example.com';
/** What each host serves at first. */
export const firstPath = '/app';

export function nameOf(index: number): string {
  return `app-${String(index).padStart(4, '0')}`;
}

export function hostOf(name: string): string {
  return `${name}.${zoneName}`;
}

export function ingressOf(name: string, path = firstPath) {
  const backend = { service: { name, port: { name: 'http' } } };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name, annotations: { 'kubernetes.io/ingress.class': 'cloudflare-warp' } },
    spec: { rules: [{ host: hostOf(name), http: { paths: [{ path, pathType: 'Prefix', backend }] } }] },
  };
}

export function serviceOf(name: string) {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { ports: [{ name: 'http', port: 8080, protocol: 'TCP' }] },
  };
}

export function sliceOf(name: string, port: number, address = '127.0.0.1') {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port, protocol: 'TCP' }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  };
}
