import { expect } from 'chai';
import { type KubeApi, startKubeApi } from '../../../src/sandbox/kube-api/kube-api.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { ask, type OpenWatch, openWatch } from './http.ts';

const collection = '/api/v1/namespaces/default/configmaps';

describe('kube-api lists and watches', () => {
  let api: KubeApi;
  let clock: ManualClock;
  let watches: OpenWatch[];

  beforeEach(async () => {
    clock = new ManualClock();
    api = await startKubeApi({ clock, historyLength: 20 });
    watches = [];
  });
  afterEach(async () => {
    for (const watch of watches) watch.close();
    await api.stop();
  });

  const create = (name: string, labels = {}) =>
    ask(api, collection, { method: 'POST', body: { metadata: { name, labels }, data: { a: '1' } } });
  const merge = (name: string, body: unknown) =>
    ask(api, `${collection}/${name}`, {
      method: 'PATCH',
      body,
      headers: { 'content-type': 'application/merge-patch+json' },
    });
  const watch = async (query: string, headers = {}): Promise<OpenWatch> => {
    const opened = await openWatch(api, `${collection}?watch=1&${query}`, headers);
    watches.push(opened);
    return opened;
  };
  const next = async (from: OpenWatch): Promise<string> => {
    const line = await from.next();
    return line === null ? 'end' : `${line.type} ${line.object.metadata.name}`;
  };

  it('sends what exists first when a watch has no past', async () => {
    await create('a');
    await create('b');
    const stream = await watch('');
    expect([await next(stream), await next(stream)]).to.deep.equal(['ADDED a', 'ADDED b']);
    await create('c');
    expect(await next(stream)).to.equal('ADDED c');
  });

  it('continues from a resourceVersion without losing or repeating a change', async () => {
    const first = await create('a');
    await create('b');
    await merge('a', { data: { a: '2' } });
    const stream = await watch(`resourceVersion=${first.body.metadata.resourceVersion}`);
    expect([await next(stream), await next(stream)]).to.deep.equal(['ADDED b', 'MODIFIED a']);
  });

  it('tells a watch from a version that is yet to come nothing before that has come', async () => {
    const first = await create('a');
    const revision = Number(first.body.metadata.resourceVersion);
    const stream = await watch(`resourceVersion=${revision + 2}`);
    expect(stream.status).to.equal(200);
    for (const name of ['b', 'c', 'd']) await create(name);
    expect(await next(stream)).to.equal('ADDED d');
  });

  it('refuses to list and watch as of a version that is yet to come', async () => {
    const query = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    const stream = await watch(`${query}&resourceVersion=99999`);
    const line = await stream.next();
    expect(line).to.deep.include({ type: 'ERROR' });
    expect(line?.object).to.include({ code: 504, reason: 'Timeout' });
    expect(await stream.next()).to.equal(null);
  });

  it('shows an object that enters or leaves the selection as added or deleted', async () => {
    await create('a');
    const stream = await watch('labelSelector=app%3Dweb');
    await merge('a', { metadata: { labels: { app: 'web' } } });
    expect(await next(stream)).to.equal('ADDED a');
    await merge('a', { data: { a: '2' } });
    expect(await next(stream)).to.equal('MODIFIED a');
    const left = await merge('a', { metadata: { labels: { app: 'other' } } });
    const line = await stream.next();
    expect(line?.type).to.equal('DELETED');
    expect(line?.object.metadata.labels).to.deep.equal({ app: 'web' });
    expect(line?.object.metadata.resourceVersion).to.equal(left.body.metadata.resourceVersion);
  });

  it('marks the end of the initial events for a watch that lists', async () => {
    await create('a');
    const stream = await watch(
      'sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&resourceVersion=',
    );
    expect(await next(stream)).to.equal('ADDED a');
    const mark = await stream.next();
    expect(mark?.type).to.equal('BOOKMARK');
    expect(mark?.object.metadata.annotations).to.deep.equal({ 'k8s.io/initial-events-end': 'true' });
    expect(mark?.object.metadata.resourceVersion).to.equal(String(api.store.revision));
    await create('b');
    expect(await next(stream)).to.equal('ADDED b');
  });

  it('tells where it is by bookmarks once a minute, to those who allow them', async () => {
    const quiet = await watch('');
    const stream = await watch('allowWatchBookmarks=true');
    await clock.advance(60_000);
    expect((await stream.next())?.type).to.equal('BOOKMARK');
    await create('a');
    expect(await next(quiet)).to.equal('ADDED a');
  });

  it('ends after timeoutSeconds', async () => {
    const stream = await watch('timeoutSeconds=5');
    await clock.advance(5000);
    expect(await next(stream)).to.equal('end');
    expect(api.watchCount()).to.equal(0);
  });

  it('answers 410 as an event when its history does not reach that far', async () => {
    await create('a');
    for (let round = 0; round < 40; round++) await merge('a', { data: { a: `${round}` } });
    const stream = await watch('resourceVersion=3');
    const line = await stream.next();
    expect(line?.type).to.equal('ERROR');
    expect(line?.object).to.include({ kind: 'Status', reason: 'Expired', code: 410 });
    expect(line?.object.message).to.match(/^too old resource version: 3 \(\d+\)$/);
    expect(await stream.next()).to.equal(null);
  });

  it('shows one revision over all pages of a list', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await create(name);
    const first = await ask(api, `${collection}?limit=2`);
    expect(first.body.metadata.remainingItemCount).to.equal(2);
    await ask(api, `${collection}/c`, { method: 'DELETE' });
    await create('e');
    const second = await ask(api, `${collection}?limit=2&continue=${first.body.metadata.continue}`);
    const names = [...first.body.items, ...second.body.items].map((item) => item.metadata.name);
    expect(names).to.deep.equal(['a', 'b', 'c', 'd']);
    expect(second.body.metadata.resourceVersion).to.equal(first.body.metadata.resourceVersion);
    expect(second.body.metadata.continue).to.equal(undefined);
  });

  it('answers 410 with a way on when a page is asked for too late', async () => {
    for (const name of ['a', 'b', 'c']) await create(name);
    const first = await ask(api, `${collection}?limit=1`);
    await ask(api, `${collection}/b`, { method: 'DELETE' });
    api.faults.expireHistory();
    const late = await ask(api, `${collection}?limit=5&continue=${first.body.metadata.continue}`);
    expect(late.body).to.include({ reason: 'Expired', code: 410 });
    const rest = await ask(api, `${collection}?limit=5&continue=${late.body.metadata.continue}`);
    expect(rest.body.items.map((item: { metadata: { name: string } }) => item.metadata.name)).to.deep.equal([
      'c',
    ]);
  });

  it('lists the past exactly when asked to', async () => {
    const { body } = await create('a');
    await create('b');
    const past = await ask(
      api,
      `${collection}?resourceVersionMatch=Exact&resourceVersion=${body.metadata.resourceVersion}`,
    );
    expect(past.body.items.map((item: { metadata: { name: string } }) => item.metadata.name)).to.deep.equal([
      'a',
    ]);
    const future = await ask(api, `${collection}?resourceVersion=99999`);
    expect(future.status).to.equal(504);
    expect(future.headers['retry-after']).to.equal('1');
  });

  it('streams tables whose columns are told once', async () => {
    await create('a');
    const stream = await watch('', { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' });
    await create('b');
    const [first, second] = [await stream.next(), await stream.next()];
    expect(first?.object.columnDefinitions.map((column: { name: string }) => column.name)).to.deep.equal([
      'Name',
      'Data',
      'Age',
    ]);
    expect(second?.object.columnDefinitions).to.equal(null);
    expect(second?.object.rows[0].cells).to.deep.equal(['b', 1, '0s']);
  });

  for (const { what, query, field } of [
    {
      what: 'an unknown field',
      query: 'fieldSelector=spec.foo%3Da',
      field: 'field label not supported: spec.foo',
    },
    { what: 'a label selector that is none', query: 'labelSelector=a%20b', field: "found 'b', expected: in" },
    {
      what: 'initial events without bookmarks',
      query: 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan',
      field: 'requires setting allowWatchBookmarks',
    },
    { what: 'a version that is no number', query: 'resourceVersion=x', field: 'invalid resource version' },
  ]) {
    it(`refuses ${what}`, async () => {
      const { status, body } = await ask(api, `${collection}?${query}`);
      expect(status).to.be.oneOf([400, 422]);
      expect(body.message).to.contain(field);
    });
  }
});
