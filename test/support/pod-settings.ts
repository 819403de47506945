import type { PodSettings } from '../../src/kube/pods/tunnel-deployment.ts';

/** Of an install without any wishes of its own. */
export const podSettings = {
  image: 'registry.example/warp:1',
  credentials: { from: 'token' },
  apiUrl: null,
  edge: [],
  ca: null,
  accessCertsUrl: null,
  graceMs: 30_000,
  logLevel: 'info',
  template: null,
} as const satisfies PodSettings;
