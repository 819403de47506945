import { expect } from 'chai';
import fc from 'fast-check';
import type { SeenRecord, SeenTunnel, SeenZone } from '../../src/cloudflare/api-objects.ts';
import { type Leftovers, leftoversOf, type Owned } from '../../src/cloudflare/leftovers.ts';
import { markContent, markName } from '../../src/cloudflare/owner-mark.ts';
import type { Survey } from '../../src/cloudflare/survey.ts';
import { tunnelHostname, tunnelName } from '../../src/domain/host.ts';
import type { LedgerEntry } from '../../src/domain/ledger.ts';
import { failed, ok } from '../../src/fault.ts';

const zone: SeenZone = { id: 'zone', name: 'example.com', accountId: 'account' };
const uuid = '6f9619ff-8b86-d011-b42d-00cf4fc964ff';

function tunnel(id: string, name: string, connections = 0): SeenTunnel {
  return { id, name, deleted: false, connections, token: null };
}

function cname(host: string, tunnelId: string, id = `cname-${host}`): SeenRecord {
  return { id, type: 'CNAME', name: host, content: tunnelHostname(tunnelId), proxied: true };
}

function mark(owner: string, host: string, record = `cname-${host}`): SeenRecord {
  const content = markContent({ owner, host, record });
  return {
    id: `txt-${owner}-${host}`,
    type: 'TXT',
    name: markName(host, zone.name),
    content,
    proxied: false,
  };
}

function ledgerOf(identity: string, host: string, tunnelId: string | null = null): LedgerEntry {
  return {
    host,
    ingress: 'web',
    identity,
    tunnelName: tunnelName(identity, host),
    tunnel: tunnelId === null ? null : { accountId: 'account', id: tunnelId, token: 'token' },
    publishes: true,
    dns: null,
    resourceVersion: '1',
  };
}

function look(
  tunnels: readonly SeenTunnel[],
  records: readonly SeenRecord[],
  owned: Partial<Owned> = {},
): Leftovers {
  const survey: Survey = { accountId: 'account', tunnels, zones: [{ zone, records: ok(records) }] };
  return leftoversOf(survey, { identity: 'a', ledger: [], hosts: new Set(), ...owned });
}

/** Ids of all that would be removed, in order. */
function removed({ hosts }: Leftovers): string[] {
  return hosts.flatMap(({ records, tunnel }) => [
    ...records.map(({ id }) => id),
    ...(tunnel === null ? [] : [tunnel.id]),
  ]);
}

const host = 'app.example.com';
const ours = tunnel('t1', tunnelName('a', host));

describe('what is left over at Cloudflare', () => {
  it('is a tunnel of our name and the records that lead there, records first', () => {
    const found = look([ours], [cname(host, 't1'), mark('a', host)]);
    expect(removed(found)).to.deep.equal([`cname-${host}`, `txt-a-${host}`, 't1']);
    expect(found.leftAlone).to.deep.equal([]);
  });

  it('is nothing that the ledger or an Ingress knows', () => {
    const records = [cname(host, 't1'), mark('a', host)];
    expect(removed(look([ours], records, { ledger: [ledgerOf('a', host, 't1')] }))).to.deep.equal([]);
    expect(removed(look([ours], records, { ledger: [ledgerOf('a', host)] }))).to.deep.equal([]);
    expect(removed(look([ours], records, { hosts: new Set([host]) }))).to.deep.equal([]);
  });

  it('is a tunnel without records, a record without its mark, records without their tunnel, a mark alone', () => {
    expect(removed(look([ours], []))).to.deep.equal(['t1']);
    expect(removed(look([ours], [cname(host, 't1')]))).to.deep.equal([`cname-${host}`, 't1']);
    expect(removed(look([], [cname(host, 'gone'), mark('a', host)]))).to.deep.equal([
      `cname-${host}`,
      `txt-a-${host}`,
    ]);
    expect(removed(look([], [mark('a', host)]))).to.deep.equal([`txt-a-${host}`]);
  });

  it('leaves a record alone that somebody has led elsewhere, and takes our mark away', () => {
    const elsewhere = { ...cname(host, 't1'), content: 'www.example.net' };
    expect(removed(look([ours], [elsewhere, mark('a', host)]))).to.deep.equal([`txt-a-${host}`, 't1']);
    const other = tunnel('t2', 'made-by-hand');
    const found = look([ours, other], [cname(host, 't2'), mark('a', host)]);
    expect(removed(found)).to.deep.equal(['t1']);
    expect(found.leftAlone.map(({ name }) => name)).to.deep.equal([host]);
  });

  it('leaves a record without a mark alone that does not lead to our tunnel', () => {
    expect(removed(look([ours], [cname(host, 'gone'), cname('b.example.com', 't1')]))).to.deep.equal(['t1']);
  });

  it('leaves a tunnel alone that something runs, and what leads to it', () => {
    const found = look([tunnel('t1', ours.name, 4)], [cname(host, 't1'), mark('a', host)]);
    expect(removed(found)).to.deep.equal([]);
    expect(found.leftAlone.map(({ kind }) => kind)).to.deep.equal(['tunnel', 'records']);
  });

  it('leaves a tunnel alone whose zone cannot be read', () => {
    const records = failed('credentials-invalid', 'no');
    const survey = { accountId: 'account', tunnels: [ours], zones: [{ zone, records }] };
    const found = leftoversOf(survey, { identity: 'a', ledger: [], hosts: new Set() });
    expect(removed(found)).to.deep.equal([]);
    expect(found.leftAlone[0]?.why).to.include('example.com');
  });

  describe('where the name could be of another identity', () => {
    // Of `a` for b-x.example.com, or of `a-b` for x.example.com.
    const either = tunnel('t1', 'warp-a-b-x.example.com');

    it('is left alone without a mark', () => {
      for (const identity of ['a', 'a-b']) {
        const found = look([either], [], { identity });
        expect(removed(found)).to.deep.equal([]);
        expect(found.leftAlone[0]?.why).to.include(identity === 'a' ? '"a-b"' : '"a"');
      }
    });

    it('is whose mark stands on the record that leads there', () => {
      const mine = [cname('b-x.example.com', 't1'), mark('a', 'b-x.example.com')];
      const theirs = [cname('x.example.com', 't1'), mark('a-b', 'x.example.com')];
      expect(removed(look([either], mine))).to.have.members([...mine.map(({ id }) => id), 't1']);
      expect(look([either], mine, { identity: 'a-b' })).to.deep.equal({ hosts: [], leftAlone: [] });
      expect(look([either], theirs)).to.deep.equal({ hosts: [], leftAlone: [] });
      expect(removed(look([either], theirs, { identity: 'a-b' }))).to.include('t1');
    });

    it('is whose ledger is in the namespace, also before the tunnel is recorded there', () => {
      const entry = ledgerOf('a-b', 'x.example.com');
      expect(look([either], [], { ledger: [entry] })).to.deep.equal({ hosts: [], leftAlone: [] });
    });

    it('is nobody else’s when that would cut our UUID in two', () => {
      const found = look([tunnel('t1', tunnelName(uuid, host))], [], { identity: uuid });
      expect(removed(found)).to.deep.equal(['t1']);
      const ofClass = tunnel('t1', tunnelName(`${uuid}-internal`, host));
      expect(removed(look([ofClass], [], { identity: uuid }))).to.deep.equal([]);
      expect(removed(look([ofClass], [], { identity: `${uuid}-internal` }))).to.deep.equal([]);
    });
  });

  it('is never what another identity has, whatever the names', () => {
    const identities = fc.constantFrom('a', 'a-b', 'a-b-c', 'b', uuid, `${uuid}-x`);
    const hosts = fc.constantFrom(
      'x.example.com',
      'b-x.example.com',
      'b-c-x.example.com',
      'c-x.example.com',
      'x-x.example.com',
      '*.example.com',
      'example.com',
    );
    const installs = fc.uniqueArray(
      fc.record({ identity: identities, host: hosts, dns: fc.constantFrom('both', 'cname', 'none') }),
      { minLength: 1, maxLength: 6, selector: ({ identity, host }) => tunnelName(identity, host) },
    );
    fc.assert(
      fc.property(installs, identities, (made, identity) => {
        const published = new Set<string>();
        const tunnels = made.map((one, index) => tunnel(`t${index}`, tunnelName(one.identity, one.host)));
        const records = made.flatMap((one, index) => {
          // One name, one CNAME: the first who comes has it.
          if (one.dns === 'none' || published.has(one.host)) return [];
          published.add(one.host);
          const record = cname(one.host, `t${index}`);
          return one.dns === 'both' ? [record, mark(one.identity, one.host)] : [record];
        });
        for (const id of removed(look(tunnels, records, { identity }))) {
          const index = made.findIndex((one, at) => [`t${at}`, `cname-${one.host}`].includes(id));
          if (id.startsWith('txt-')) expect(id.startsWith(`txt-${identity}-`)).to.equal(true);
          else if (id.startsWith('t')) expect(made[index]?.identity).to.equal(identity);
          else {
            const led = records.find((record) => record.id === id)!;
            const at = Number(/^t(\d+)/.exec(led.content)?.[1]);
            expect(made[at]?.identity, id).to.equal(identity);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
