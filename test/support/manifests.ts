import type { KubeObject } from './kube-user.ts';

/** Manifests as users write them, as short as their meaning allows. */

/** Above 1023, so that a cluster IP can be listened on without being root. */
export const servicePort = 8080;

export interface PathOf {
  readonly path?: string;
  readonly type?: 'Prefix' | 'Exact';
  readonly service?: string;
  readonly port?: number | string;
}

export function ingress(
  name: string,
  host: string,
  { paths = [{}], annotations = {}, className = 'cloudflare-warp' as string | null } = {} as {
    paths?: readonly PathOf[];
    annotations?: Readonly<Record<string, string>>;
    className?: string | null;
  },
): KubeObject {
  const ours: Record<string, string> = className === null ? {} : { 'kubernetes.io/ingress.class': className };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name, annotations: { ...ours, ...annotations } },
    spec: { rules: [{ host, http: { paths: paths.map(pathOf) } }] },
  };
}

export function pathOf({ path = '/', type = 'Prefix', service = 'web', port = servicePort }: PathOf): object {
  const reference = typeof port === 'number' ? { number: port } : { name: port };
  return { path, pathType: type, backend: { service: { name: service, port: reference } } };
}

export function service(name = 'web', port = servicePort): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { ports: [{ name: 'http', port, targetPort: 'http' }] },
  };
}

/** One slice whose endpoints are on loopback addresses; `ready: false` for one that is not. */
export function slice(
  name: string,
  of: string,
  port: number,
  endpoints: readonly { readonly address: string; readonly ready?: boolean }[] = [{ address: '127.0.0.1' }],
): KubeObject {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, labels: { 'kubernetes.io/service-name': of } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port, protocol: 'TCP' }],
    endpoints: endpoints.map(({ address, ready = true }) => ({
      addresses: [address],
      conditions: { ready },
    })),
  };
}
