import { expect } from 'chai';
import fc from 'fast-check';
import { markContent } from '../../../src/cloudflare/owner-mark.ts';
import type { DnsRecords } from '../../../src/domain/ledger.ts';
import type { Result } from '../../../src/fault.ts';
import type { DnsRecord } from '../../../src/sandbox/cloudflare-api/zone-store.ts';
import { openStage, running, type Stage } from './stage.ts';

const host = 'app.example.com';
const markAt = `_cloudflare-warp.${host}`;
const tunnelId = '11111111-1111-4111-8111-111111111111';
const otherTunnel = '22222222-2222-4222-8222-222222222222';
const wish = { host, tunnelId, identity: 'me', known: null };

/** What stands at a name, and marks, each of the record that stands there or of one that is gone. */
interface Scene {
  readonly records: readonly { readonly type: string; readonly content: string }[];
  readonly marks: readonly { readonly owner: string; readonly ofThis: boolean }[];
}

/** The work ends at the write of that number: before it has happened, or when it has, without an answer. */
interface Interruption {
  readonly atWrite: number;
  readonly happened: boolean;
  /** With the process, so that whoever resumes knows nothing that was read before. */
  readonly ofProcess: boolean;
}

const cnameTo = (target: string) => [{ type: 'CNAME', content: target }];
const scenes: fc.Arbitrary<Scene> = fc.record({
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
const interruptions: fc.Arbitrary<Interruption> = fc.record({
  atWrite: fc.integer({ min: 0, max: 3 }),
  happened: fc.boolean(),
  ofProcess: fc.boolean(),
});

describe('publishing and removing, interrupted at any write', () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage({ callsPerFiveMinutes: 1e9 });
  });
  afterEach(() => stage.close());

  /** A process of its own over a zone that holds the scene alone. */
  function set(scene: Scene): void {
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

  function records(): DnsRecord[] {
    return [...stage.api.zones.zones[0]!.records.values()];
  }

  /** Records without what differs between two runs. */
  function texts(): string[] {
    const here = records();
    const nth = (id: string): string =>
      here.some((record) => record.id === id && record.type === 'CNAME') ? 'here' : 'gone';
    return here
      .map(({ type, name, content }) => {
        const text = content.replace(/record=([^"]*)/, (_, id: string) => `record=${nth(id)}`);
        return `${type} ${name} ${text}`;
      })
      .sort();
  }

  async function interrupted<T>(
    { atWrite, happened, ofProcess }: Interruption,
    work: (signal: AbortSignal) => Promise<Result<T>>,
  ): Promise<void> {
    const ending = new AbortController();
    let writes = 0;
    const matches = (method: string): boolean => {
      if (method === 'GET' || writes++ !== atWrite) return false;
      ending.abort();
      return true;
    };
    if (happened) stage.api.faults.loseAnswers(1, matches);
    else stage.api.faults.failNext({ count: 1, status: 503, matches });
    await work(ending.signal);
    stage.api.faults.clear();
    if (ofProcess) stage.restart();
  }

  const publish = (signal: AbortSignal) => stage.cloudflare.ensureDns(wish, signal);
  const remove = (signal: AbortSignal, known: DnsRecords | null = null) =>
    stage.cloudflare.removeDns({ ...wish, known }, signal);

  it('ends where it would have ended without the interruption, and leaves what is not ours', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, interruptions, async (scene, interruption) => {
        set(scene);
        const straight = await publish(running());
        const expected = texts();
        set(scene);
        const before = records();
        await interrupted(interruption, publish);
        const resumed = await publish(running());
        expect(resumed.ok).to.equal(straight.ok);
        expect(texts()).to.deep.equal(expected);
        if (!resumed.ok) expect(records(), 'a conflict changes nothing').to.deep.equal(before);
        const again = await publish(running());
        expect(again).to.deep.equal(resumed);
      }),
      { numRuns: 50 },
    );
  });

  it('leaves nothing of ours, and all that is not, after a removal that was interrupted and resumed', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, interruptions, fc.boolean(), async (scene, interruption, hasLedger) => {
        set(scene);
        const before = records();
        const published = await publish(running());
        if (!published.ok) return;
        const known = hasLedger ? published.value : null;
        await interrupted(interruption, (signal) => remove(signal, known));
        const removed = await remove(running(), known);
        expect(removed.ok).to.equal(true);
        const { cnameId } = published.value;
        const foreign = before.filter(
          (record) => record.id !== cnameId && !record.content.includes(',owner=me,'),
        );
        expect(records()).to.deep.equal(foreign);
      }),
      { numRuns: 50 },
    );
  });
});
