import { expect } from 'chai';
import { type KubeApi, startKubeApi } from '../../../src/sandbox/kube-api/kube-api.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { ask, openWatch } from './http.ts';

const configMaps = '/api/v1/namespaces/default/configmaps';
const secrets = '/api/v1/namespaces/default/secrets';

describe('kube-api faults', () => {
  let api: KubeApi;
  let clock: ManualClock;

  beforeEach(async () => {
    clock = new ManualClock();
    api = await startKubeApi({ clock });
  });
  afterEach(() => api.stop());

  const create = (path: string, name: string) =>
    ask(api, path, { method: 'POST', body: { metadata: { name } } });
  const outcomeOf = (asked: Promise<{ status: number }>) =>
    asked.then(
      ({ status }) => status,
      (error: NodeJS.ErrnoException) => error.code,
    );

  it('fails the next requests of one kind and no other', async () => {
    api.faults.add({ resource: 'configmaps', verb: 'create', times: 2, fail: { code: 409 } });
    const outcomes = [
      (await create(secrets, 'a')).status,
      (await create(configMaps, 'a')).status,
      (await create(configMaps, 'a')).status,
      (await create(configMaps, 'a')).status,
    ];
    expect(outcomes).to.deep.equal([201, 409, 409, 201]);
  });

  it('says Retry-After with a failure that has one', async () => {
    api.faults.add({ fail: { code: 429, retryAfterSeconds: 7 }, times: 1 });
    const { status, headers, body } = await ask(api, configMaps);
    expect(status).to.equal(429);
    expect(headers['retry-after']).to.equal('7');
    expect(body.reason).to.equal('TooManyRequests');
  });

  it('delays an answer by the clock', async () => {
    api.faults.add({ resource: 'configmaps', delayMs: 1000, times: 1 });
    let answered = false;
    const asked = ask(api, configMaps).then(({ status }) => {
      answered = true;
      return status;
    });
    while (clock.pendingTimers === 0) await ask(api, '/healthz');
    expect(answered).to.equal(false);
    await clock.advance(1000);
    expect(await asked).to.equal(200);
  });

  it('tells open watches 410 and answers it to those who come with an old version', async () => {
    const { body } = await create(configMaps, 'a');
    const open = await openWatch(
      api,
      `${configMaps}?watch=1&resourceVersion=${body.metadata.resourceVersion}`,
    );
    await create(configMaps, 'b');
    await open.next();
    api.faults.expireHistory();
    expect((await open.next())?.object.code).to.equal(410);
    expect(await open.next()).to.equal(null);
    const late = await openWatch(
      api,
      `${configMaps}?watch=1&resourceVersion=${body.metadata.resourceVersion}`,
    );
    expect((await late.next())?.object.code).to.equal(410);
    late.close();
  });

  it('cuts watches of one kind', async () => {
    const [cut, kept] = [
      await openWatch(api, `${configMaps}?watch=1`),
      await openWatch(api, `${secrets}?watch=1`),
    ];
    api.faults.dropWatches({ resource: 'configmaps' });
    expect(await cut.next()).to.equal(null);
    await create(secrets, 'a');
    expect((await kept.next())?.type).to.equal('ADDED');
    kept.close();
  });

  it('leaves a silent watch connected, without events, bookmarks or an end', async () => {
    const silent = await openWatch(api, `${configMaps}?watch=1&allowWatchBookmarks=true&timeoutSeconds=90`);
    api.faults.hangWatches();
    const heard = silent.next().then(() => 'heard');
    await create(configMaps, 'a');
    await clock.advance(100_000);
    const other = await openWatch(api, `${configMaps}?watch=1`);
    await other.next();
    expect(await Promise.race([heard, Promise.resolve('silence')])).to.equal('silence');
    expect(api.watchCount(), 'that say something').to.equal(1);
    silent.close();
    other.close();
  });

  it('is gone during an outage and back afterwards with what it had', async () => {
    await create(configMaps, 'a');
    const watch = await openWatch(api, `${configMaps}?watch=1`);
    await watch.next();
    api.faults.outage(true);
    expect(await watch.next()).to.equal(null);
    expect(await outcomeOf(ask(api, configMaps))).to.equal('ECONNRESET');
    api.faults.outage(false);
    expect((await ask(api, configMaps)).body.items).to.have.length(1);
  });

  it('never answers a request that hangs, and stops all the same', async () => {
    api.faults.add({ hang: true, times: 1 });
    const asked = [outcomeOf(ask(api, configMaps)), outcomeOf(ask(api, configMaps))];
    expect(await Promise.race(asked)).to.equal(200);
    await api.stop();
    expect((await Promise.all(asked)).sort()).to.deep.equal([200, 'ECONNRESET']);
  });
});
