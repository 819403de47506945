import { request } from 'node:https';

/** What a user does with `kubectl`, over the API's own socket. */
export interface KubeUser {
  /** Server-side apply: creates or changes. */
  apply(...objects: readonly KubeObject[]): Promise<void>;
  remove(kind: string, name: string): Promise<void>;
  get(kind: string, name: string): Promise<KubeObject | null>;
  list(kind: string): Promise<readonly KubeObject[]>;
  /** A token of a service account, as `kubectl create token` has it. */
  token(account: string): Promise<string>;
}

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

const paths: Readonly<Record<string, string>> = {
  Ingress: '/apis/networking.k8s.io/v1/namespaces/NS/ingresses',
  Service: '/api/v1/namespaces/NS/services',
  EndpointSlice: '/apis/discovery.k8s.io/v1/namespaces/NS/endpointslices',
  Secret: '/api/v1/namespaces/NS/secrets',
  Event: '/api/v1/namespaces/NS/events',
  Pod: '/api/v1/namespaces/NS/pods',
  ServiceAccount: '/api/v1/namespaces/NS/serviceaccounts',
  Namespace: '/api/v1/namespaces',
  Role: '/apis/rbac.authorization.k8s.io/v1/namespaces/NS/roles',
  RoleBinding: '/apis/rbac.authorization.k8s.io/v1/namespaces/NS/rolebindings',
  Deployment: '/apis/apps/v1/namespaces/NS/deployments',
  PodDisruptionBudget: '/apis/policy/v1/namespaces/NS/poddisruptionbudgets',
  Lease: '/apis/coordination.k8s.io/v1/namespaces/NS/leases',
  NetworkPolicy: '/apis/networking.k8s.io/v1/namespaces/NS/networkpolicies',
};

export function kubeUser(api: { url: string; ca: string; token: string }, namespace: string): KubeUser {
  const pathOf = (kind: string, name?: string): string => {
    const path = paths[kind]!.replace('NS', namespace);
    return name === undefined ? path : `${path}/${name}`;
  };

  function call(method: string, path: string, body?: object): Promise<{ status: number; answer: unknown }> {
    return new Promise((resolve, reject) => {
      const sent = request(
        api.url + path,
        {
          method,
          ca: api.ca,
          agent: false,
          headers: {
            authorization: `Bearer ${api.token}`,
            ...(body === undefined ? {} : { 'content-type': 'application/apply-patch+yaml' }),
          },
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            text += chunk;
          });
          response.on('end', () => resolve({ status: response.statusCode ?? 0, answer: JSON.parse(text) }));
          response.on('error', reject);
        },
      );
      sent.on('error', reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  return {
    async apply(...objects) {
      for (const object of objects) {
        const path = `${pathOf(object.kind, object.metadata.name)}?fieldManager=user&force=true&fieldValidation=Strict`;
        const { status, answer } = await call('PATCH', path, object);
        if (status >= 300)
          throw new Error(`apply ${object.kind} ${object.metadata.name}: ${JSON.stringify(answer)}`);
      }
    },
    async remove(kind, name) {
      await call('DELETE', pathOf(kind, name));
    },
    async get(kind, name) {
      const { status, answer } = await call('GET', pathOf(kind, name));
      return status === 404 ? null : (answer as KubeObject);
    },
    async token(account) {
      const { answer } = await call('POST', `${pathOf('ServiceAccount', account)}/token`, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: {},
      });
      return (answer as { status: { token: string } }).status.token;
    },
    async list(kind) {
      const { answer } = await call('GET', pathOf(kind));
      return (answer as { items: KubeObject[] }).items;
    },
  };
}
