import { expect } from 'chai';
import { type CredentialSource, CredentialStore, pollMs } from '../../src/cloudflare/credentials.ts';
import { ManualClock } from '../support/manual-clock.ts';

function cert(apiToken: string, more: object = {}): string {
  const content = { zoneID: 'zone', accountID: 'account', apiToken, ...more };
  const body = Buffer.from(JSON.stringify(content)).toString('base64');
  return `-----BEGIN ARGO TUNNEL TOKEN-----\n${body}\n-----END ARGO TUNNEL TOKEN-----\n`;
}

const missing = Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT' });

/** A store over a file whose content the test changes; `heard` is what the hooks told. */
function stage(
  content: string | Error,
  source: CredentialSource = { from: 'origincert', path: '/mnt/cert.pem' },
) {
  const file = { content };
  const heard: string[] = [];
  const clock = new ManualClock();
  const store = new CredentialStore({
    source,
    clock,
    read: async () => {
      if (file.content instanceof Error) throw file.content;
      return file.content;
    },
    onChange: (credentials) => heard.push(`changed ${credentials.apiToken}`),
    onFault: (fault) => heard.push(`${fault.code} ${fault.message}`),
  });
  const token = (): string | null => {
    const current = store.current();
    return current.ok ? current.value.apiToken : null;
  };
  return { file, heard, clock, store, token };
}

describe('the mounted credentials', () => {
  it('are taken over within one poll when the file changes, and told once', async () => {
    const { file, heard, clock, store, token } = stage(cert('one'));
    await store.start();
    expect(token()).to.equal('one');
    file.content = cert('two');
    await clock.advance(pollMs);
    await clock.advance(pollMs);
    expect(token()).to.equal('two');
    expect(heard).to.deep.equal(['changed one', 'changed two']);
    store.close();
    expect(clock.pendingTimers).to.equal(0);
  });

  it('stay in use while a new file is bad, which is told once and not at every poll, and so is that they are good again', async () => {
    const { file, heard, clock, store, token } = stage(cert('one'));
    await store.start();
    file.content = 'garbage';
    await clock.advance(3 * pollMs);
    expect(token()).to.equal('one');
    expect(store.problem()?.message).to.match(/^\/mnt\/cert\.pem is no usable cert\.pem: .* no PEM block$/);
    file.content = cert('one');
    await clock.advance(pollMs);
    expect(store.problem()).to.equal(null);
    await clock.advance(pollMs);
    const kinds = heard.map((line) => line.split(' ')[0]);
    expect(kinds).to.deep.equal(['changed', 'credentials-invalid', 'changed']);
    store.close();
  });

  it('are as good as before while no file can be opened', async () => {
    const { file, heard, clock, store, token } = stage(cert('one'));
    await store.start();
    file.content = Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
    await clock.advance(3 * pollMs);
    expect({ token: token(), problem: store.problem() }).to.deep.equal({ token: 'one', problem: null });
    expect(heard).to.deep.equal(['changed one']);
    store.close();
  });

  it('that are missing at the start are a fault that names the file, and are found later', async () => {
    const { file, heard, clock, store } = stage(missing);
    await store.start();
    expect(store.current()).to.deep.equal({
      ok: false,
      fault: { code: 'credentials-invalid', message: '/mnt/cert.pem cannot be read: it does not exist' },
    });
    file.content = cert('late');
    await clock.advance(pollMs);
    expect(heard.at(-1)).to.equal('changed late');
    store.close();
  });

  it('for the FedRAMP endpoint carry its API base', async () => {
    const { store } = stage(cert('one', { endpoint: 'fed' }));
    await store.start();
    store.close();
    const current = store.current();
    expect(current.ok && current.value.apiUrl).to.equal('https://api.fed.cloudflare.com/client/v4');
  });

  it('are an API token from a file, with white space around it cut off', async () => {
    const source: CredentialSource = { from: 'token-file', path: '/mnt/token', accountId: 'account' };
    const { store, token } = stage('  scoped-token\n', source);
    await store.start();
    store.close();
    expect(token()).to.equal('scoped-token');
  });

  it('that hold two lines are refused without showing them', async () => {
    const source: CredentialSource = { from: 'token-file', path: '/mnt/token', accountId: 'account' };
    const { store } = stage('scoped token\nand more', source);
    await store.start();
    store.close();
    expect(store.problem()?.message).to.equal('/mnt/token is no API token: expected one line without spaces');
  });

  it('that are an API token need an account id', async () => {
    const { store, clock } = stage('', { from: 'token', token: 'scoped', accountId: '' });
    await store.start();
    expect(store.problem()?.message).to.match(/--account-id/);
    expect(clock.pendingTimers, 'nothing to poll').to.equal(0);
  });
});
