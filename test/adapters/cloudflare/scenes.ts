import fc from 'fast-check';
import { markContent } from '../../../src/cloudflare/owner-mark.ts';
import type { DnsRecord } from '../../../src/sandbox/cloudflare-api/zone-store.ts';
import type { Stage } from './stage.ts';

export const host = 'app.example.com';
const markAt = `_cloudflare-warp.${host}`;
export const tunnelId = '11111111-1111-4111-8111-111111111111';
export const otherTunnel = '22222222-2222-4222-8222-222222222222';

/** What stands at a name, and marks, each of the record that stands there or of one that is gone. */
export interface Scene {
  readonly records: readonly { readonly type: string; readonly content: string }[];
  readonly marks: readonly { readonly owner: string; readonly ofThis: boolean }[];
}

const cnameTo = (target: string) => [{ type: 'CNAME', content: target }];

export const scenes: fc.Arbitrary<Scene> = fc.record({
  records: fc.constantFrom(
    [],
    [],
    cnameTo(`${tunnelId}.cfargotunnel.com`),
    cnameTo(`${otherTunnel}.cfargotunnel.com`),
    cnameTo('x.example.net'),
    [{ type: 'A', content: '192.0.2.1' }],
    [{ type: 'NS', content: 'ns.example.net' }],
    [{ type: 'MX', content: 'mx.example.net' }],
  ),
  marks: fc.array(fc.record({ owner: fc.constantFrom('me', 'you'), ofThis: fc.boolean() }), { maxLength: 2 }),
});

/** A process of its own over a zone that holds the scene alone. */
export function setScene(stage: Stage, scene: Scene): void {
  const zone = stage.api.zones.zones[0]!;
  zone.records.clear();
  stage.api.faults.clear();
  const base = { proxied: false, ttl: 1, comment: null, tags: [] };
  const placed = scene.records.map((record) =>
    stage.api.zones.put(zone, { ...base, ...record, name: host, proxied: record.type === 'CNAME' }),
  );
  for (const { owner, ofThis } of scene.marks) {
    const content = markContent({ owner, host, record: (ofThis && placed[0]?.id) || 'gone' });
    stage.api.zones.put(zone, { ...base, type: 'TXT', name: markAt, content });
  }
  stage.restart();
}

/** Of the zone in which scenes are set. */
export function recordsOf(stage: Stage): DnsRecord[] {
  return [...stage.api.zones.zones[0]!.records.values()];
}
