import type { IngressSink } from '../actors/ports.ts';
import type { KubeClient } from './client.ts';
import { createIngressEvents, type EventOptions } from './ingress-events.ts';
import { publishStatus, type StatusRules } from './ingress-status.ts';

export interface OwnedIngressSink extends IngressSink {
  /** Gives up Events that wait. Idempotent. */
  close(): Promise<void>;
}

/** Status and Events of Ingresses in the client's namespace. Owns the writing of Events until `close`. */
export function createIngressSink(
  client: KubeClient,
  options: EventOptions & { readonly status: StatusRules },
): OwnedIngressSink {
  const events = createIngressEvents(client, options);
  return {
    publish: (ingress, hostnames, known, signal) =>
      publishStatus(client, ingress, { hostnames, known }, options.status, signal),
    event: events.note,
    close: events.close,
  };
}
