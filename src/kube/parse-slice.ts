import { isIP } from 'node:net';
import { z } from 'zod';
import type { SliceSpec } from '../domain/backend.ts';
import { parseMeta } from './parse-meta.ts';

const serviceLabel = 'kubernetes.io/service-name';

/** EndpointSlice: at most 1,000 endpoints of at most 100 addresses, and 100 ports; the first address counts. */
const sliceShape = z.object({
  endpoints: z
    .array(
      z.object({
        addresses: z.array(z.string().max(64)).max(100),
        conditions: z.object({ ready: z.boolean().nullish() }).nullish(),
      }),
    )
    .max(1_000)
    .nullish(),
  ports: z
    .array(
      z.object({
        name: z.string().max(63).nullish(),
        port: z.int().min(1).max(65_535).nullish(),
        protocol: z.string().nullish(),
      }),
    )
    .max(100)
    .nullish(),
});

/** An EndpointSlice of a Service; null when it is none, or belongs to no Service. Pure, never throws. */
export function parseSlice(object: unknown): SliceSpec | null {
  const meta = parseMeta(object);
  const parsed = sliceShape.safeParse(object);
  const service = meta?.labels[serviceLabel];
  if (meta === null || !parsed.success || typeof service !== 'string' || service === '') return null;
  const { endpoints, ports } = parsed.data;
  return {
    name: meta.name,
    service,
    ports: (ports ?? [])
      .filter(({ protocol }) => (protocol ?? 'TCP') === 'TCP')
      .map(({ name, port }) => ({ name: name ?? '', port: port ?? null })),
    // "A nil value should be interpreted as true" (EndpointConditions.ready). Addresses of type FQDN are
    // deprecated and what they mean was never defined.
    readyAddresses: (endpoints ?? [])
      .filter(({ conditions }) => conditions?.ready !== false)
      .flatMap(({ addresses }) => addresses.slice(0, 1))
      .filter((address) => isIP(address) !== 0),
  };
}
