import { expect } from 'chai';
import type { LedgerStore } from '../../../src/actors/ports.ts';
import type { LedgerEntry, StoredLedgerEntry } from '../../../src/domain/ledger.ts';
import { ledgerSecretBody, ledgerSecretName } from '../../../src/kube/ledger-secret.ts';
import { createLedgerStore, hasLedgerSecret } from '../../../src/kube/ledger-store.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { ScriptedKube } from '../../support/scripted-kube.ts';

const host = 'a.example.com';
const name = ledgerSecretName(host);
const bare: LedgerEntry = {
  host,
  ingress: 'a',
  identity: 'me',
  tunnelName: 'warp-me-a.example.com',
  tunnel: null,
  publishes: true,
  dns: null,
  resourceVersion: null,
};
const full: LedgerEntry = {
  ...bare,
  tunnel: { accountId: 'acc', id: 'tid', token: btoa('{"a":"acc","t":"tid","s":"c2VjcmV0"}') },
  dns: { zoneId: 'z', cnameId: 'c', txtId: 't' },
};
const at = (resourceVersion: string, entry: LedgerEntry): StoredLedgerEntry => ({
  ...entry,
  resourceVersion,
});
const stored = (entry: LedgerEntry): object => {
  const body = ledgerSecretBody({ ...entry, resourceVersion: null }) as { metadata: object };
  return { ...body, metadata: { ...body.metadata, resourceVersion: entry.resourceVersion, uid: 'u-1' } };
};

describe('ledger store', () => {
  let kube: ScriptedKube;
  let store: LedgerStore;
  const { signal } = new AbortController();

  beforeEach(async () => {
    kube = await ScriptedKube.start();
    store = createLedgerStore(await kube.client(new ManualClock()), 'me');
  });
  afterEach(() => kube.close());

  const post = () => kube.next('POST /api/v1/namespaces/web/secrets');
  const patch = () => kube.next(`PATCH /secrets/${name}`);
  const get = () => kube.next(`GET /secrets/${name}`);

  it('creates what was never written, and answers it as stored', async () => {
    const put = store.put(bare, signal);
    const call = await post();
    expect(call.body).to.deep.equal(ledgerSecretBody(bare));
    call.json(201, stored(at('5', bare)));
    expect(await put).to.deep.equal({ ok: true, value: at('5', bare) });
  });

  it('replaces by merge patch, guarded by the resourceVersion', async () => {
    const put = store.put(at('5', full), signal);
    const call = await patch();
    expect(call.headers['content-type']).to.equal('application/merge-patch+json');
    expect(call.body).to.have.nested.property('metadata.resourceVersion', '5');
    call.json(200, stored(at('6', full)));
    expect(await put).to.deep.equal({ ok: true, value: at('6', full) });
  });

  it('finds a ledger of ours where none was expected, and goes on from what it says', async () => {
    const put = store.put(bare, signal);
    (await post()).refuse(409, 'already exists');
    (await get()).json(200, stored(at('9', full)));
    expect(await put).to.deep.equal({ ok: true, value: at('9', full) });
  });

  it('gives a ledger of ours its label back, without which nobody would list it', async () => {
    const put = store.put(bare, signal);
    (await post()).refuse(409, 'already exists');
    const found = stored(at('9', full)) as { metadata: object };
    (await get()).json(200, { ...found, metadata: { ...found.metadata, labels: {} } });
    const call = await patch();
    expect(call.body).to.deep.equal(ledgerSecretBody(at('9', full)));
    call.json(200, stored(at('10', full)));
    expect(await put).to.deep.equal({ ok: true, value: at('10', full) });
  });

  it('does not touch the ledger of another identity', async () => {
    const put = store.put(bare, signal);
    (await post()).refuse(409, 'already exists');
    (await get()).json(200, stored(at('9', { ...full, identity: 'you' })));
    expect(await put)
      .to.have.nested.property('fault.message')
      .that.matches(/identity you, not for ours \(me\)/);
    const removed = store.remove(at('9', full), signal);
    (await get()).json(200, stored(at('9', { ...full, identity: 'you' })));
    expect(await removed).to.have.nested.property('fault.code', 'host-taken');
    expect(kube.waiting).to.deep.equal([]);
  });

  it('does not write on in the ledger of another identity that somebody took for ours', async () => {
    const put = await store.put(at('5', { ...full, identity: 'you' }), signal);
    expect(!put.ok && put.fault.code).to.equal('host-taken');
    expect(kube.waiting).to.deep.equal([]);
  });

  it('says whether a host has a Secret, whosever and however readable, and nothing when it cannot tell', async () => {
    const client = await kube.client(new ManualClock());
    const present = hasLedgerSecret(client, host, signal);
    (await get()).json(200, { metadata: { name } });
    expect(await present).to.deep.equal({ ok: true, value: true });
    const absent = hasLedgerSecret(client, host, signal);
    (await get()).refuse(404, 'not found');
    expect(await absent).to.deep.equal({ ok: true, value: false });
    const hidden = hasLedgerSecret(client, host, signal);
    (await get()).refuse(403, 'no');
    expect((await hidden).ok).to.equal(false);
  });

  it('does not touch a Secret of that name that is no ledger', async () => {
    const put = store.put(bare, signal);
    (await post()).refuse(409, 'already exists');
    (await get()).json(200, { metadata: { name }, data: { password: 'eA==' } });
    expect(await put).to.have.nested.property('fault.code', 'kube-refused');
  });

  it('writes a ledger anew whose data somebody has taken away, but for one that says it is of another identity', async () => {
    const emptied = (data: object) => ({ ...stored(at('9', full)), data });
    const put = store.put(bare, signal);
    (await post()).refuse(409, 'already exists');
    (await get()).json(200, emptied({}));
    const call = await patch();
    expect(call.body).to.deep.equal(ledgerSecretBody(at('9', bare)));
    call.json(200, stored(at('10', bare)));
    expect(await put).to.deep.equal({ ok: true, value: at('10', bare) });
    const refused = store.put(bare, signal);
    (await post()).refuse(409, 'already exists');
    (await get()).json(200, emptied({ identity: Buffer.from('you').toString('base64') }));
    expect(await refused).to.have.nested.property('fault.code', 'kube-refused');
    expect(kube.waiting).to.deep.equal([]);
  });

  it('a conflict is a conflict when somebody wrote something else', async () => {
    const put = store.put(at('5', full), signal);
    (await patch()).refuse(409, 'the object has been modified');
    (await get()).json(200, stored(at('6', bare)));
    expect(await put).to.have.nested.property('fault.code', 'kube-conflict');
  });

  it('a conflict with an entry of a history that went back is none: what we know is newer', async () => {
    const put = store.put(at('9000', full), signal);
    (await patch()).refuse(409, 'the object has been modified');
    (await get()).json(200, stored(at('104', bare)));
    const call = await patch();
    expect(call.body).to.deep.equal(ledgerSecretBody(at('104', full)));
    call.json(200, stored(at('105', full)));
    expect(await put).to.deep.equal({ ok: true, value: at('105', full) });

    const removed = store.remove(at('9000', full), signal);
    (await get()).json(200, stored(at('105', full)));
    const deletion = await kube.next(`DELETE /secrets/${name}`);
    expect(deletion.body).to.have.nested.property('preconditions.resourceVersion', '105');
    deletion.json(200, {});
    expect(await removed).to.have.property('ok', true);
  });

  it('a conflict with our own write, whose answer was lost, is success', async () => {
    const put = store.put(at('5', full), signal);
    (await patch()).refuse(409, 'the object has been modified');
    (await get()).json(200, stored(at('6', full)));
    expect(await put).to.deep.equal({ ok: true, value: at('6', full) });
  });

  it('writes a ledger that was deleted by hand again: what is at Cloudflare must stay known', async () => {
    const put = store.put(at('5', full), signal);
    (await patch()).refuse(404, 'not found');
    (await post()).json(201, stored(at('7', full)));
    expect(await put).to.deep.equal({ ok: true, value: at('7', full) });
  });

  it('removes exactly the Secret that it has read', async () => {
    const removed = store.remove(at('9', full), signal);
    (await get()).json(200, stored(at('9', full)));
    const call = await kube.next(`DELETE /secrets/${name}`);
    expect(call.body).to.have.deep.property('preconditions', { uid: 'u-1', resourceVersion: '9' });
    call.json(200, {});
    expect(await removed).to.deep.equal({ ok: true, value: undefined });
  });

  it('leaves a ledger that was written since we last heard of it', async () => {
    const removed = store.remove(at('9', full), signal);
    (await get()).json(200, stored(at('10', full)));
    expect(await removed).to.have.nested.property('fault.code', 'kube-conflict');
    expect(kube.waiting).to.deep.equal([]);
  });

  it('a ledger that is gone already is removed', async () => {
    const removed = store.remove(at('9', full), signal);
    (await get()).refuse(404, 'not found');
    expect(await removed).to.deep.equal({ ok: true, value: undefined });
  });

  it('leaves a ledger that was written while it was being removed', async () => {
    const removed = store.remove(at('9', full), signal);
    (await get()).json(200, stored(at('9', full)));
    (await kube.next(`DELETE /secrets/${name}`)).refuse(409, 'the object has been modified');
    expect(await removed).to.have.nested.property('fault.code', 'kube-conflict');
  });

  it('says what the API server said', async () => {
    const put = store.put(bare, signal);
    (await post()).refuse(403, 'cannot create resource "secrets"');
    expect(await put).to.have.nested.property('fault.code', 'kube-forbidden');
  });
});
