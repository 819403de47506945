import { expect } from 'chai';
import { tunnelName } from '../../src/domain/host.ts';
import type { CloudflareView } from '../../src/domain/host-forecast.ts';
import type { LedgerEntry } from '../../src/domain/ledger.ts';
import { type Overview, type OverviewInput, overviewOf } from '../../src/domain/overview.ts';
import { failed, ok } from '../../src/fault.ts';
import { ingress, rule } from '../support/actor-house.ts';

const host = 'app.example.com';

/** An account without tunnels, where every record would be created. */
const empty: Omit<CloudflareView, 'takeTunnel'> = {
  tunnelNamed: () => null,
  isLive: () => false,
  publication: (question) => ok([{ action: 'create', kind: 'CNAME', name: question.host, detail: '' }]),
  removal: () => ok([]),
};

function look(input: Partial<OverviewInput>): Overview {
  return overviewOf({
    identity: 'me',
    ingresses: [],
    foreign: [],
    backends: new Map(),
    cas: new Map(),
    ledger: [],
    cloudflare: empty,
    tunnels: 0,
    maxTunnels: 1_000,
    ...input,
  });
}

function entry(over: Partial<LedgerEntry> = {}): LedgerEntry {
  return {
    host,
    ingress: 'web',
    identity: 'me',
    tunnelName: tunnelName('me', host),
    tunnel: { accountId: 'account', id: 't1', token: 'token' },
    publishes: true,
    dns: { zoneId: 'zone', cnameId: 'c', txtId: 't' },
    resourceVersion: '1',
    ...over,
  };
}

const states = ({ hosts }: Overview): string[] =>
  hosts.map(({ host: name, ingress: of, state }) => `${of} ${name} ${state}`);
const reasons = ({ notes }: Overview): string[] => notes.map((note) => `${note.ingress} ${note.reason}`);
const words = ({ changes }: Overview): string[] => changes.map(({ action, kind }) => `${action} ${kind}`);

describe('the overview of an install', () => {
  it('waits for the Service, unless the Ingress asks for 503', () => {
    const found = { ...empty, tunnelNamed: () => 't1', isLive: () => true, publication: () => ok([]) };
    const web = ingress('web', [host]);
    const waiting = look({ ingresses: [web], ledger: [entry()], cloudflare: found });
    expect([states(waiting), reasons(waiting)]).to.deep.equal([
      [`web ${host} waiting`],
      ['web WaitingForService'],
    ]);
    const settings = { ...web.settings, noBackend: '503' } as const;
    const answering = look({ ingresses: [{ ...web, settings }], ledger: [entry()], cloudflare: found });
    expect(states(answering)).to.deep.equal([`web ${host} served`]);
  });

  it('shows what a pod cannot be given as blocked, and why', () => {
    const paths = Array.from({ length: 130 }, (_, index) => ({
      ...rule(),
      path: `/${index}${'x'.repeat(1024)}`,
    }));
    const web = ingress('web', [], { hosts: [{ host, paths }] });
    const settings = { ...web.settings, mode: 'pod', noBackend: '503' } as const;
    const overview = look({ ingresses: [{ ...web, settings }] });
    expect(states(overview)).to.deep.equal([`web ${host} blocked`]);
    expect(reasons(overview)).to.include('web InvalidIngress');
  });

  it('counts every new tunnel against the quota, and says for which hosts there is none left', () => {
    const overview = look({
      ingresses: [ingress('web', ['a.example.com', 'b.example.com', 'c.example.com'])],
      tunnels: 998,
    });
    expect(words(overview).filter((change) => change === 'create tunnel')).to.have.length(2);
    expect(reasons(overview)).to.include('web QuotaExceeded');
    expect(overview.hosts.filter(({ state }) => state === 'blocked')).to.have.length(1);
  });

  it('keeps what belongs to an Ingress that cannot be acted on, and says why', () => {
    const problems = [{ where: 'metadata.annotations[x]', message: 'is not understood' }];
    const refused = look({
      ingresses: [ingress('web', [host], { refused: true, problems })],
      ledger: [entry()],
    });
    expect([states(refused), words(refused)]).to.deep.equal([[`web ${host} kept`], []]);
    expect(refused.notes[0]).to.include({ ingress: 'web', reason: 'InvalidIngress' });
    const unservable = look({ ingresses: [ingress('web', [], { unservable: [host] })], ledger: [entry()] });
    expect(states(unservable)).to.deep.equal([`web ${host} kept`]);
  });

  it('removes what nobody wants any more, exposure first', () => {
    const cloudflare = {
      ...empty,
      isLive: () => true,
      removal: () => ok([{ action: 'delete', kind: 'CNAME', name: host, detail: '' } as const]),
    };
    const overview = look({ ledger: [entry()], cloudflare });
    expect([states(overview), words(overview)]).to.deep.equal([
      [`web ${host} removed`],
      ['delete CNAME', 'delete tunnel'],
    ]);
  });

  it('leaves a host alone that has a ledger of another identity', () => {
    const theirs = entry({ identity: 'you' });
    expect(look({ ledger: [theirs] })).to.deep.equal({ changes: [], hosts: [], notes: [] });
    const both = look({ ingresses: [ingress('web', [host])], ledger: [theirs] });
    expect([states(both), words(both), reasons(both)]).to.deep.equal([
      [`web ${host} blocked`],
      [],
      ['web HostTaken'],
    ]);
  });

  it('names what is understood and changes nothing, of the Ingress itself and where an older one has the tunnel', () => {
    const ignored = [{ where: 'metadata.annotations[cloudflare-warp/replicas]', message: 'changes nothing' }];
    const older = ingress('older', [host], { createdAtMs: 1, ignored });
    const more = { host, paths: [{ ...rule('shop'), path: '/more' }] };
    const guest = ingress('guest', [], { createdAtMs: 2, hosts: [more], ofTunnel: ['dns', 'mode'] });
    const asking = { ...guest, settings: { ...guest.settings, dns: 'off' } } as const;
    const { notes } = look({ ingresses: [older, asking] });
    const told = notes.filter(({ reason }) => reason === 'AnnotationIgnored');
    expect(told.map((note) => note.ingress)).to.deep.equal(['older', 'guest']);
    expect(told[1]?.message).to.match(
      /cloudflare-warp\/dns.* tunnel of the older Ingress "older", where it is managed/,
    );
    const settings = { ...guest.settings, replicas: 3 };
    const nowhere = { ...guest, settings, ofTunnel: ['replicas'], ignored } as const;
    const once = reasons(look({ ingresses: [{ ...older, ignored: [] }, nowhere] }));
    const ofGuest = once.filter((reason) => reason === 'guest AnnotationIgnored');
    expect(ofGuest, 'what has effect nowhere is told once').to.have.length(1);
  });

  it('tells the younger Ingress which of its paths an older one has, and shows the host for both', () => {
    const older = ingress('older', [host], { createdAtMs: 1 });
    const other = { host, paths: [rule(), { ...rule('shop'), path: '/more' }] };
    const younger = ingress('younger', [], { createdAtMs: 2, hosts: [other] });
    const latest = ingress('latest', [host], { createdAtMs: 3 });
    const overview = look({ ingresses: [latest, younger, older] });
    expect(states(overview)).to.have.members([
      `older ${host} waiting`,
      `younger ${host} waiting`,
      `latest ${host} blocked`,
    ]);
    expect(reasons(overview).filter((reason) => reason.endsWith('HostTaken'))).to.have.members([
      'younger HostTaken',
      'latest HostTaken',
    ]);
    const waiting = overview.notes.filter(({ reason }) => reason === 'WaitingForService');
    expect(
      waiting.map((found) => `${found.ingress} ${/"(.*)"/.exec(found.message)?.[1]}`),
      'each is told of its own paths',
    ).to.have.members(['older web', 'younger shop']);
  });

  it('goes no further for a host than the controller would come, and no other host is touched by that', () => {
    const cloudflare: typeof empty = {
      ...empty,
      publication: (question) =>
        question.host === host ? failed('dns-conflict', 'somebody has it') : empty.publication(question),
    };
    const overview = look({ ingresses: [ingress('web', [host, 'b.example.com'])], cloudflare });
    expect(overview.changes.map((change) => `${change.kind} ${change.host}`)).to.deep.equal([
      `tunnel ${host}`,
      'tunnel b.example.com',
      'CNAME b.example.com',
    ]);
    expect(overview.notes).to.deep.include({
      ingress: 'web',
      reason: 'DnsConflict',
      message: `${host}: somebody has it`,
    });
  });
});
