import { defaultOriginSettings, type OriginSettings } from '../../src/domain/ingress.ts';
import type { Route, RouteTable } from '../../src/domain/routes.ts';

/** A table for app.example.com whose every path goes to these ports on loopback. */
export function tableTo(
  ports: readonly number[],
  settings: Partial<OriginSettings> = {},
  ca: string | null = null,
): RouteTable {
  return { host: 'app.example.com', routes: [routeTo(ports, settings, '/', ca)], access: null };
}

export function routeTo(
  ports: readonly number[],
  settings: Partial<OriginSettings> = {},
  path = '/',
  ca: string | null = null,
): Route {
  return {
    path,
    match: 'prefix',
    target: {
      kind: 'origin',
      origin: {
        addresses: ports.map((port) => ({ host: '127.0.0.1', port })),
        settings: { ...defaultOriginSettings, ...settings },
        ca,
      },
    },
  };
}
