import { expect } from 'chai';
import type { LedgerEntry } from '../../src/domain/ledger.ts';
import {
  ledgerSecretBody,
  ledgerSecretName,
  parseLedgerSecret,
  sameLedger,
} from '../../src/kube/ledger-secret.ts';

const bare: LedgerEntry = {
  host: '*.example.com',
  ingress: 'a',
  identity: 'me',
  tunnelName: 'warp-me-*.example.com',
  tunnel: null,
  publishes: true,
  dns: null,
  resourceVersion: null,
};
const token = btoa('{"a":"acc","t":"tid","s":"c2VjcmV0"}');
const full: LedgerEntry = {
  ...bare,
  tunnel: { accountId: 'acc', id: 'tid', token },
  dns: { zoneId: 'z', cnameId: 'c', txtId: 't' },
};

/** As the API server gives it back. */
const stored = (entry: LedgerEntry, resourceVersion: string): object => {
  const body = ledgerSecretBody({ ...entry, resourceVersion: null }) as { metadata: object };
  return { ...body, metadata: { ...body.metadata, resourceVersion, uid: 'u-1' } };
};

describe('ledger Secret', () => {
  for (const [name, entry] of [
    ['before the tunnel exists', bare],
    ['with tunnel', { ...full, dns: null }],
    ['with tunnel and records', full],
    ['with records that are being removed', { ...full, dns: { ...full.dns!, leaving: true } }],
  ] as const) {
    it(`keeps an entry ${name}`, () => {
      expect(parseLedgerSecret(stored(entry, '7'))).to.deep.equal({
        ok: true,
        value: { ...entry, resourceVersion: '7' },
      });
    });
  }

  it('carries its host where people and label selectors find it', () => {
    expect(ledgerSecretBody(bare)).to.have.nested.property('metadata.annotations').that.deep.equals({
      'cloudflare-warp/host': '*.example.com',
    });
    expect(ledgerSecretName('*.example.com')).to.match(/^cloudflare-warp-[0-9a-f]{20}$/);
  });

  it('a replacement removes what is not there any more', () => {
    const { data } = ledgerSecretBody({ ...full, dns: null, resourceVersion: '7' }) as { data: object };
    expect(data).to.include({ 'zone-id': null, 'cname-id': null, 'txt-id': null });
  });

  describe('that somebody has changed by hand', () => {
    const changed = (values: Record<string, string>) => {
      const secret = stored(full, '7') as { data: Record<string, string> };
      const data = { ...secret.data };
      for (const [key, value] of Object.entries(values)) data[key] = Buffer.from(value).toString('base64');
      const parsed = parseLedgerSecret({ ...secret, data });
      return parsed.ok ? parsed.value.tunnel : parsed.fault;
    };

    it('believes the token before what is beside it', () => {
      expect(changed({ 'tunnel-id': 'garbled', 'account-id': '' })).to.deep.equal(full.tunnel);
    });

    it('has no token where that names no tunnel, and still the tunnel', () => {
      const spoilt = Buffer.from('{"a":"acc","t":"tid"}').toString('base64');
      for (const wrong of ['', 'tok', token.slice(0, -8), spoilt]) {
        expect(changed({ token: wrong }), wrong).to.deep.equal({ ...full.tunnel, token: null });
      }
    });

    it('has no tunnel without either', () => {
      expect(changed({ token: '', 'tunnel-id': '' })).to.equal(null);
    });
  });

  it('under the name of another host it is no ledger', () => {
    const secret = stored(full, '7') as { metadata: object };
    const moved = { ...secret, metadata: { ...secret.metadata, name: ledgerSecretName('b.example.com') } };
    expect(parseLedgerSecret(moved)).to.have.nested.property('fault.code', 'kube-refused');
  });

  it('never repeats what is in it when it cannot be read', () => {
    const secret = stored(full, '7') as { data: Record<string, string> };
    const parsed = parseLedgerSecret({ ...secret, data: { ...secret.data, host: '' } });
    expect(parsed.ok).to.equal(false);
    expect(JSON.stringify(parsed)).to.not.contain(token);
  });

  it('is the same whatever its resourceVersion', () => {
    expect(sameLedger({ ...full, resourceVersion: '1' }, { ...full, resourceVersion: '2' })).to.equal(true);
    expect(sameLedger(full, { ...full, dns: null })).to.equal(false);
  });
});
