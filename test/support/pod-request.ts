import type { TunnelRunRequest } from '../../src/actors/ports.ts';
import { routesToUrl } from '../../src/domain/url-routes.ts';

/** A run of one host's tunnel in two pods. */
export function podRequest(over: Partial<TunnelRunRequest> = {}): TunnelRunRequest {
  const host = 'app.example.com';
  return {
    host,
    ingress: 'web',
    tunnel: { accountId: 'account', id: 'tunnel', token: 'token' },
    haConnections: 4,
    place: { mode: 'pod', replicas: 2 },
    routes: routesToUrl(host, 'http://10.0.0.1'),
    ...over,
  };
}
