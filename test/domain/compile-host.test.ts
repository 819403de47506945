import { expect } from 'chai';
import type { BackendView } from '../../src/domain/backend.ts';
import { compileHost } from '../../src/domain/compile-host.ts';
import type { BackendPort, IngressSettings } from '../../src/domain/ingress.ts';
import { plainSettings } from '../support/ingress-settings.ts';

function view(parts: { clusterIp?: string | null; ready?: string[][]; port?: number } = {}): BackendView {
  return {
    service: {
      name: 'web',
      uid: 'u',
      type: 'ClusterIP',
      clusterIp: parts.clusterIp === undefined ? '10.0.0.1' : parts.clusterIp,
      externalName: null,
      ports: [
        { name: 'http', port: parts.port ?? 80 },
        { name: 'admin', port: 9000 },
      ],
    },
    slices: (parts.ready ?? [['10.1.0.1']]).map((readyAddresses, index) => ({
      name: `web-${index}`,
      service: 'web',
      ports: [{ name: 'http', port: 8080 }],
      readyAddresses,
    })),
  };
}

function compile(port: BackendPort, backend: BackendView | undefined, over: Partial<IngressSettings> = {}) {
  const rules = {
    host: 'app.example.com',
    paths: [{ path: '/', match: 'prefix' as const, backend: { service: 'web', port } }],
  };
  const compiled = compileHost(
    rules,
    { ...plainSettings, ...over },
    new Map(backend ? [['web', backend]] : []),
    new Map(),
  );
  const target = compiled.routes.routes[0]!.target;
  const answer =
    target.kind === 'status'
      ? `${target.status}`
      : target.origin.addresses.map(({ host, port }) => `${host}:${port}`).join(' ');
  return {
    answer,
    usable: compiled.usable,
    reason: compiled.notes[0]?.reason,
    message: compiled.notes[0]?.message,
  };
}

describe('the routes of a host', () => {
  it('may be too much for a pod, which is said with the size, the limit and what to do', () => {
    const backend = { service: 'web', port: { by: 'number', number: 80 } } as const;
    const paths = Array.from({ length: 130 }, (_, index) => ({
      path: `/${index}${'x'.repeat(1024)}`,
      match: 'prefix' as const,
      backend,
    }));
    const compiled = (mode: 'worker' | 'pod', ready: string[]) =>
      compileHost(
        { host: 'app.example.com', paths },
        { ...plainSettings, mode },
        new Map([['web', view({ ready: [ready] })]]),
        new Map(),
      );
    const { refused, notes } = compiled('pod', ['10.1.0.1']);
    expect(refused).to.equal(true);
    expect(notes).to.have.length(1);
    expect(notes[0]).to.include({ type: 'Warning', reason: 'InvalidIngress' });
    expect(notes[0]!.message).to.match(/^app\.example\.com: the routes take 13\d KiB .* less than 128 KiB: /);
    expect(notes[0]!.message).to.contain('fewer paths').and.contain('cloudflare-warp/mode: worker');
    expect(compiled('worker', ['10.1.0.1'])).to.include({ refused: false });
    expect(compiled('pod', []), 'where nothing is to run nothing is too much').to.include({ refused: false });
  });

  it('carry the Access policy, also while no backend is there', () => {
    const access = { team: 'acme', audience: ['a'] };
    const rules = { host: 'app.example.com', paths: [] };
    expect(compileHost(rules, { ...plainSettings, access }, new Map(), new Map()).routes.access).to.equal(
      access,
    );
  });
});

const byNumber: BackendPort = { by: 'number', number: 80 };
const byName: BackendPort = { by: 'name', name: 'http' };

describe('routes of a host', () => {
  it('leads to the cluster IP and the Service port', () => {
    expect(compile(byNumber, view())).to.include({ answer: '10.0.0.1:80', usable: true, reason: undefined });
  });
  it('finds a port by name', () => {
    expect(compile(byName, view({ port: 8081 })).answer).to.equal('10.0.0.1:8081');
  });
  it('waits for a Service that is not there', () => {
    expect(compile(byNumber, undefined)).to.include({
      answer: '503',
      usable: false,
      reason: 'WaitingForService',
    });
  });
  it('waits for endpoints when none is ready', () => {
    expect(compile(byNumber, view({ ready: [[]] }))).to.include({
      answer: '503',
      usable: false,
      reason: 'WaitingForEndpoints',
    });
  });
  it('does not take another port for ready because its neighbour is', () => {
    expect(compile({ by: 'name', name: 'admin' }, view()).reason).to.equal('WaitingForEndpoints');
  });
  it('says which ports there are when the one that is asked for is not', () => {
    const { reason, message } = compile({ by: 'number', number: 81 }, view());
    expect(reason).to.equal('InvalidIngress');
    expect(message).to.equal('Service "web" has no TCP port 81; it has 80 ("http"), 9000 ("admin")');
  });
  it('leads to the union of the ready addresses of all slices via endpoints', () => {
    const backend = view({ ready: [['10.1.0.2', '10.1.0.1'], ['10.1.0.3'], ['10.1.0.1']] });
    expect(compile(byNumber, backend, { originVia: 'endpoints' }).answer).to.equal(
      '10.1.0.1:8080 10.1.0.2:8080 10.1.0.3:8080',
    );
  });
  it('goes straight to the endpoints of a headless Service', () => {
    expect(compile(byNumber, view({ clusterIp: null })).answer).to.equal('10.1.0.1:8080');
  });
  it('follows an ExternalName, which has no endpoints', () => {
    const service = {
      ...view().service!,
      type: 'ExternalName' as const,
      clusterIp: null,
      externalName: 'db.example.org',
      ports: [],
    };
    expect(compile({ by: 'number', number: 8443 }, { service, slices: [] })).to.include({
      answer: 'db.example.org:8443',
      usable: true,
    });
  });
});
