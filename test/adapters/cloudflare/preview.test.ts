import { expect } from 'chai';
import fc from 'fast-check';
import { ApiClient } from '../../../src/cloudflare/client.ts';
import { previewPublication, previewRemoval } from '../../../src/cloudflare/dns-preview.ts';
import { type Survey, takeSurvey } from '../../../src/cloudflare/survey.ts';
import { ZoneDirectory } from '../../../src/cloudflare/zones.ts';
import type { Change } from '../../../src/domain/change.ts';
import type { DnsRecords } from '../../../src/domain/ledger.ts';
import type { DnsRecord } from '../../../src/sandbox/cloudflare-api/zone-store.ts';
import { systemClock } from '../../../src/time/clock.ts';
import { host, otherTunnel, recordsOf, scenes, setScene, tunnelId } from './scenes.ts';
import { codeOf, must, openStage, running, type Stage } from './stage.ts';

/** What was really done, as the preview words it. */
function difference(before: readonly DnsRecord[], after: readonly DnsRecord[]): string[] {
  const line = (action: string, { type, name }: DnsRecord): string => `${action} ${type} ${name}`;
  const wasThere = new Map(before.map((record) => [record.id, record]));
  const isThere = new Set(after.map(({ id }) => id));
  return [
    ...after.flatMap((record) => {
      const was = wasThere.get(record.id);
      if (was === undefined) return [line('create', record)];
      return was.content === record.content ? [] : [line('change', record)];
    }),
    ...before.filter(({ id }) => !isThere.has(id)).map((record) => line('delete', record)),
  ].sort();
}

function words(changes: readonly Change[]): string[] {
  return changes.map(({ action, kind, name }) => `${action} ${kind} ${name}`).sort();
}

describe('the preview of records', () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage({ callsPerFiveMinutes: 1e9 });
  });
  afterEach(() => stage.close());

  async function survey(): Promise<Survey> {
    const api = new ApiClient({
      credentials: () => ({ ok: true, value: stage.mounted.now }),
      apiUrl: stage.api.url,
      clock: systemClock,
      random: () => 0,
      hooks: { called: () => {} },
    });
    const zones = new ZoneDirectory(api, systemClock);
    const survey = await takeSurvey(api, zones, stage.mounted.now, () => true, running());
    api.close();
    zones.close();
    return must(survey);
  }

  /** A ledger that knows what stands there, or what is gone, or nothing. */
  const ledgers = fc.constantFrom('none', 'this', 'gone');

  function knownOf(ledger: string): DnsRecords | null {
    if (ledger === 'none') return null;
    const cname = recordsOf(stage).find(({ type }) => type === 'CNAME');
    const zoneId = stage.api.zones.zones[0]!.id;
    return { zoneId, cnameId: (ledger === 'this' && cname?.id) || 'gone', txtId: 'gone' };
  }

  it('says of every publication what it then does, and of every conflict that it is one', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, ledgers, async (scene, ledger) => {
        setScene(stage, scene);
        const before = recordsOf(stage);
        const question = { host, identity: 'me', tunnelId, known: knownOf(ledger) };
        const foreseen = previewPublication(await survey(), question);
        const done = await stage.cloudflare.ensureDns(question, running());
        expect(codeOf(foreseen)).to.equal(codeOf(done));
        if (!foreseen.ok || !done.ok) {
          expect(foreseen).to.deep.equal(done);
          return;
        }
        expect(words(foreseen.value)).to.deep.equal(difference(before, recordsOf(stage)));
        const again = previewPublication(await survey(), { ...question, known: done.value });
        expect(must(again), 'then there is nothing left to do').to.deep.equal([]);
      }),
      { numRuns: 60 },
    );
  });

  it('says of every removal what it then takes away', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, ledgers, fc.constantFrom(tunnelId, otherTunnel), async (scene, ledger, id) => {
        setScene(stage, scene);
        const before = recordsOf(stage);
        const question = { host, identity: 'me', tunnelId: id, known: knownOf(ledger) };
        const foreseen = must(previewRemoval(await survey(), question));
        must(await stage.cloudflare.removeDns(question, running()));
        expect(words(foreseen)).to.deep.equal(difference(before, recordsOf(stage)));
      }),
      { numRuns: 60 },
    );
  });
});
