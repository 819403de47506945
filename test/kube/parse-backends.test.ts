import { expect } from 'chai';
import { parseService } from '../../src/kube/parse-service.ts';
import { parseSlice } from '../../src/kube/parse-slice.ts';

const metadata = { name: 'web', uid: 'u-1', labels: { 'kubernetes.io/service-name': 'web' } };

describe('parseService', () => {
  const parse = (spec: unknown) => parseService({ metadata, spec });

  it('reads ports and cluster IP', () => {
    const ports = [{ name: 'http', port: 80, targetPort: 'web', protocol: 'TCP' }, { port: 443 }];
    expect(parse({ type: 'NodePort', clusterIP: '10.0.0.1', ports })).to.deep.equal({
      name: 'web',
      uid: 'u-1',
      type: 'NodePort',
      clusterIp: '10.0.0.1',
      externalName: null,
      ports: [
        { name: 'http', port: 80 },
        { name: '', port: 443 },
      ],
    });
  });
  it('leaves out what a tunnel cannot reach: UDP beside TCP on the same number', () => {
    const ports = [
      { name: 'h3', port: 443, protocol: 'UDP' },
      { name: 'https', port: 443, protocol: 'TCP' },
    ];
    expect(parse({ ports })?.ports).to.deep.equal([{ name: 'https', port: 443 }]);
  });
  it('a headless Service has no cluster IP', () =>
    expect(parse({ clusterIP: 'None' })?.clusterIp).to.equal(null));
  it('an ExternalName has a name instead', () => {
    const service = parse({ type: 'ExternalName', externalName: 'db.example.com', clusterIP: '' });
    expect(service).to.include({ clusterIp: null, externalName: 'db.example.com', type: 'ExternalName' });
  });
  for (const spec of [undefined, null, 'x', { ports: [{ port: 0 }] }, { type: 'Magic' }]) {
    it(`${JSON.stringify(spec)} is no Service`, () => expect(parse(spec)).to.equal(null));
  }
});

describe('parseSlice', () => {
  const parse = (slice: object, labels: object = metadata.labels) =>
    parseSlice({ metadata: { ...metadata, labels }, addressType: 'IPv4', ...slice });
  const endpoint = (address: string, conditions?: object | null) => ({ addresses: [address], conditions });

  it('reads ports and ready addresses', () => {
    const ports = [
      { name: 'http', port: 8080, protocol: 'TCP' },
      { name: 'dns', port: 53, protocol: 'UDP' },
    ];
    expect(parse({ ports, endpoints: [endpoint('10.1.0.1', { ready: true })] })).to.deep.equal({
      name: 'web',
      service: 'web',
      ports: [{ name: 'http', port: 8080 }],
      readyAddresses: ['10.1.0.1'],
    });
  });
  for (const [name, conditions, ready] of [
    ['ready', { ready: true }, true],
    ['ready not said', {}, true],
    ['ready null', { ready: null }, true],
    ['no conditions', undefined, true],
    ['conditions null', null, true],
    ['not ready', { ready: false }, false],
    ['not ready but serving while it ends', { ready: false, serving: true, terminating: true }, false],
  ] as const) {
    it(`${name}: ${ready ? 'kept' : 'left out'}`, () => {
      expect(parse({ endpoints: [endpoint('10.1.0.1', conditions)] })?.readyAddresses).to.have.length(
        ready ? 1 : 0,
      );
    });
  }
  it('IPv6 addresses are kept, names are not', () => {
    const endpoints = [endpoint('fd00::1'), endpoint('db.example.com')];
    expect(parse({ endpoints })?.readyAddresses).to.deep.equal(['fd00::1']);
  });
  it('endpoints and ports null: nothing ready', () => {
    expect(parse({ endpoints: null, ports: null })).to.include.deep.keys({ ports: [], readyAddresses: [] });
  });
  it('a port without a number is all ports', () => {
    expect(parse({ ports: [{ name: '' }] })?.ports).to.deep.equal([{ name: '', port: null }]);
  });
  it('a slice of no Service concerns nobody', () => expect(parse({}, {})).to.equal(null));
});
