import { expect } from 'chai';
import { ApiClient } from '../../../src/cloudflare/client.ts';
import { leftoversOf } from '../../../src/cloudflare/leftovers.ts';
import { takeSurvey } from '../../../src/cloudflare/survey.ts';
import { ZoneDirectory } from '../../../src/cloudflare/zones.ts';
import { tunnelHostname } from '../../../src/domain/host.ts';
import { systemClock } from '../../../src/time/clock.ts';
import { must, openStage, running, type Stage } from './stage.ts';

const request = { host: 'app.example.com', identity: 'me', tunnelId: 'gone', known: null };

describe('a survey of an account that somebody works in', () => {
  let stage: Stage;
  let api: ApiClient;
  let zones: ZoneDirectory;

  beforeEach(async () => {
    stage = await openStage();
    api = new ApiClient({
      credentials: () => ({ ok: true, value: stage.mounted.now }),
      apiUrl: stage.api.url,
      clock: systemClock,
      random: () => 0,
      hooks: { called: () => {} },
    });
    zones = new ZoneDirectory(api, systemClock);
  });
  afterEach(async () => {
    zones.close();
    api.close();
    await stage.close();
  });

  it('takes no record for left over that is led to a new tunnel meanwhile', async () => {
    const { cnameId } = must(await stage.cloudflare.ensureDns(request, running()));
    const { accountId, tunnels, faults } = stage.api;
    const zone = stage.api.zones.zones[0]!;
    let isDone = false;
    // Between any two calls, as soon as there is something to take for the truth.
    const adopt = (path: string): void => {
      if (isDone || !path.endsWith('/dns_records')) return;
      isDone = true;
      const { id } = tunnels.create({ accountId, name: 'theirs', secret: null, configSrc: 'local' });
      const record = zone.records.get(cnameId)!;
      zone.records.set(cnameId, { ...record, content: tunnelHostname(id) });
    };
    faults.failNext({
      count: 1,
      status: 500,
      matches: (_, path) => {
        adopt(path);
        return false;
      },
    });
    const survey = must(await takeSurvey(api, zones, stage.mounted.now, () => true, running()));
    expect(isDone).to.equal(true);
    const { hosts, leftAlone } = leftoversOf(survey, { identity: 'me', ledger: [], hosts: new Set() });
    expect(hosts).to.deep.equal([]);
    expect(leftAlone.map(({ kind, name }) => `${kind} ${name}`)).to.deep.equal([`records ${request.host}`]);
  });
});
