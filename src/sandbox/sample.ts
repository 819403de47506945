import { request } from 'node:https';
import { json } from 'node:stream/consumers';
import type { KubeApi } from './kube-api/kube-api.ts';

/** What the sandbox shows its user first: one page under one name. */
export const sampleHost = 'hello.example.com';
export const sampleName = 'hello';

/**
 * Service, endpoints and Ingress of the sample application, applied through the Kubernetes API as a user would.
 * Throws with the server's words when it refuses.
 */
export async function applySample(kubernetes: KubeApi, namespace: string, originPort: number): Promise<void> {
  const metadata = { name: sampleName, namespace };
  const core = `/api/v1/namespaces/${namespace}`;
  await apply(kubernetes, `${core}/services/${sampleName}`, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    // Above 1023, so that its cluster IP can be listened on without being root.
    spec: { ports: [{ name: 'http', port: 8080, protocol: 'TCP' }] },
  });
  await apply(kubernetes, `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices/${sampleName}`, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { ...metadata, labels: { 'kubernetes.io/service-name': sampleName } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: originPort, protocol: 'TCP' }],
    endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
  });
  const backend = { service: { name: sampleName, port: { name: 'http' } } };
  await apply(kubernetes, `/apis/networking.k8s.io/v1/namespaces/${namespace}/ingresses/${sampleName}`, {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { ...metadata, annotations: { 'kubernetes.io/ingress.class': 'cloudflare-warp' } },
    spec: { rules: [{ host: sampleHost, http: { paths: [{ path: '/', pathType: 'Prefix', backend }] } }] },
  });
}

/** Server-side apply; JSON is YAML. */
async function apply({ url, ca, token }: KubeApi, path: string, object: object): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/apply-patch+yaml' };
  const sent = request(`${url}${path}?fieldManager=sandbox&force=true`, {
    method: 'PATCH',
    ca,
    headers,
    agent: false,
  });
  const answered = new Promise<{ status: number; body: unknown }>((resolve, reject) => {
    sent.once('error', reject);
    sent.once('response', (response) => {
      json(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
    });
  });
  sent.end(JSON.stringify(object));
  const { status, body } = await answered;
  if (status >= 300) {
    const said = (body as { message?: unknown } | null)?.message;
    throw new Error(`Kubernetes refuses ${path} with ${status}: ${String(said)}`);
  }
}
