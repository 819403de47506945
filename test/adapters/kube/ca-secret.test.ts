import { expect } from 'chai';
import type { Result } from '../../../src/fault.ts';
import { caOf, readCaSecret } from '../../../src/kube/ca-secret.ts';
import { createAuthority } from '../../../src/sandbox/certificates.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { ScriptedKube } from '../../support/scripted-kube.ts';

const first = createAuthority('first');
const { key } = first.issue({ dnsNames: ['a.test'] });
const encoded = (text: string): string => Buffer.from(text).toString('base64');
const withCa = (text: string): object => ({ data: { 'ca.crt': encoded(text) } });

describe('a CA from a Secret', () => {
  let kube: ScriptedKube;
  const { signal } = new AbortController();
  beforeEach(async () => {
    kube = await ScriptedKube.start();
  });
  afterEach(() => kube.close());

  async function read(status: number, answer: unknown): Promise<Result<string>> {
    const reading = readCaSecret(await kube.client(new ManualClock()), 'my-ca', signal);
    const call = await kube.next('GET /api/v1/namespaces/web/secrets/my-ca');
    if (status === 200) call.json(200, answer);
    else call.refuse(status, String(answer));
    const secret = await reading;
    return secret.ok ? caOf('my-ca', secret.value) : secret;
  }

  it('is every certificate under ca.crt and nothing else', async () => {
    const second = createAuthority('second');
    const text = `# our roots\n${first.cert}\n${key}\n${second.cert}`;
    const ca = await read(200, { data: { 'ca.crt': encoded(text), 'tls.key': encoded(key) } });
    expect(ca).to.deep.equal({ ok: true, value: `${first.cert.trim()}\n${second.cert.trim()}\n` });
  });

  const broken = first.cert.replace(/\n[^\n]{8}/, '\nAAAAAAAA');
  for (const [title, answer, seen] of [
    ['a Secret without the key', { data: { 'tls.crt': 'eA==' } }, 'has no "ca.crt"'],
    ['a Secret without data', {}, 'has no "ca.crt"'],
    ['something that is no base64', { data: { 'ca.crt': '%%' } }, 'is not base64'],
    ['no certificate', withCa('hello'), 'without a certificate'],
    ['a private key', withCa(key), 'without a certificate'],
    ['a broken certificate', withCa(first.cert + broken), 'whose certificate 2 cannot be read'],
    ['too much', withCa('x'.repeat(600_000)), 'of more than 524288 bytes'],
    ['too many', withCa(first.cert.repeat(501)), 'more than 500 certificates'],
  ] as const) {
    it(`is not ${title}, and the message names Secret and key`, async () => {
      const ca = await read(200, answer);
      if (ca.ok) throw new Error('was taken');
      expect(ca.fault.code).to.equal('ingress-invalid');
      expect(ca.fault.message).to.contain('Secret "my-ca"').and.contain('"ca.crt"').and.contain(seen);
      expect(ca.fault.message).not.to.contain('BEGIN');
    });
  }

  it('that does not exist is named with its namespace', async () => {
    const ca = await read(404, 'secrets "my-ca" not found');
    expect(ca).to.have.nested.property('fault.code', 'ingress-invalid');
    expect(ca)
      .to.have.nested.property('fault.message')
      .that.contains('"my-ca" does not exist in namespace "web"');
  });

  it('that we may not read says so', async () => {
    const ca = await read(403, 'secrets "my-ca" is forbidden');
    expect(ca).to.have.nested.property('fault.code', 'kube-forbidden');
  });
});
