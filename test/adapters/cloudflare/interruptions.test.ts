import { expect } from 'chai';
import fc from 'fast-check';
import type { DnsRecords } from '../../../src/domain/ledger.ts';
import type { Result } from '../../../src/fault.ts';
import type { DnsRecord } from '../../../src/sandbox/cloudflare-api/zone-store.ts';
import { host, recordsOf, type Scene, scenes, setScene, tunnelId } from './scenes.ts';
import { openStage, running, type Stage } from './stage.ts';

const wish = { host, tunnelId, identity: 'me', known: null };

/** The work ends at the write of that number: before it has happened, or when it has, without an answer. */
interface Interruption {
  readonly atWrite: number;
  readonly happened: boolean;
  /** With the process, so that whoever resumes knows nothing that was read before. */
  readonly ofProcess: boolean;
}

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

  const set = (scene: Scene): void => setScene(stage, scene);
  const records = (): DnsRecord[] => recordsOf(stage);

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
