import type { IngressRef, IngressSink } from '../actors/ports.ts';
import { ok, type Result } from '../fault.ts';
import type { KubeClient } from './client.ts';
import { createIngressEvents, type EventOptions } from './ingress-events.ts';
import { parseMeta } from './parse-meta.ts';
import { publishBeside } from './shared-status.ts';

export interface OwnedIngressSink extends IngressSink {
  /** Gives up Events that wait. Idempotent. */
  close(): Promise<void>;
}

/** Status and Events of Ingresses in the client's namespace. Owns the writing of Events until `close`. */
export function createIngressSink(
  client: KubeClient,
  options: EventOptions & {
    /** What in a status is another shard's; left out where there is none. */
    readonly isForeign?: (hostname: string) => boolean;
  },
): OwnedIngressSink {
  const events = createIngressEvents(client, options);
  const { isForeign } = options;

  /** The uid in the patch keeps it from an Ingress of the same name that was created since. */
  async function publish(
    { name, uid }: IngressRef,
    hostnames: readonly string[],
    signal: AbortSignal,
  ): Promise<Result<void>> {
    const body = {
      metadata: { uid },
      status: { loadBalancer: { ingress: hostnames.map((hostname) => ({ hostname })) } },
    };
    const patch = { method: 'PATCH', resource: 'ingresses', name, subresource: 'status', body } as const;
    const patched = await client.call(patch, signal);
    if (patched.ok || patched.fault.code === 'kube-not-found') return ok(undefined);
    const { code } = patched.fault;
    // The API server calls another uid a conflict (409) or an invalid change (422): look which it is.
    if (code !== 'kube-conflict' && code !== 'kube-refused') return patched;
    const found = await client.call({ method: 'GET', resource: 'ingresses', name }, signal);
    const gone = found.ok ? parseMeta(found.value)?.uid !== uid : found.fault.code === 'kube-not-found';
    return gone ? ok(undefined) : patched;
  }

  return {
    publish: (ingress, hostnames, signal) =>
      isForeign === undefined
        ? publish(ingress, hostnames, signal)
        : publishBeside(client, ingress, hostnames, isForeign, signal),
    event: events.note,
    close: events.close,
  };
}
