import { z } from 'zod';
import type { ServiceSpec } from '../domain/backend.ts';
import { parseMeta } from './parse-meta.ts';

/** `protocol` defaults to TCP; a tunnel cannot reach the others. */
const portShape = z.object({
  name: z.string().max(63).nullish(),
  port: z.int().min(1).max(65_535),
  protocol: z.string().nullish(),
});

const serviceShape = z.object({
  type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName']).nullish(),
  clusterIP: z.string().max(64).nullish(),
  externalName: z.string().max(253).nullish(),
  ports: z.array(portShape).max(1_000).nullish(),
});

/** A Service of the API; null when it is none. Pure, never throws. */
export function parseService(object: unknown): ServiceSpec | null {
  const meta = parseMeta(object);
  const parsed = serviceShape.safeParse((object as { spec?: unknown } | null)?.spec);
  if (meta === null || !parsed.success) return null;
  const { type, clusterIP, externalName, ports } = parsed.data;
  return {
    name: meta.name,
    uid: meta.uid,
    type: type ?? 'ClusterIP',
    // `None` is a headless Service (ServiceSpec.clusterIP).
    clusterIp: clusterIP && clusterIP !== 'None' && type !== 'ExternalName' ? clusterIP : null,
    externalName: type === 'ExternalName' && externalName ? externalName : null,
    ports: (ports ?? [])
      .filter(({ protocol }) => (protocol ?? 'TCP') === 'TCP')
      .map(({ name, port }) => ({ name: name ?? '', port })),
  };
}
