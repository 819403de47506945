import { defaultOriginSettings, type IngressSettings } from '../../src/domain/ingress.ts';

/** What an Ingress without annotations gets when the controller is started without flags. */
export const plainSettings: IngressSettings = {
  mode: 'worker',
  replicas: 1,
  haConnections: 4,
  noBackend: 'close',
  dns: 'managed',
  originVia: 'service',
  origin: defaultOriginSettings,
  access: null,
};
