import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { CredentialStore, pollMs } from '../../../src/cloudflare/credentials.ts';
import { ManualClock } from '../../support/manual-clock.ts';

function cert(apiToken: string): string {
  const content = JSON.stringify({ zoneID: 'zone', accountID: 'account', apiToken });
  const body = Buffer.from(content).toString('base64');
  return `-----BEGIN ARGO TUNNEL TOKEN-----\n${body}\n-----END ARGO TUNNEL TOKEN-----\n`;
}

/** As the kubelet does it: a new directory, and the link `..data` swapped onto it in one step. */
async function mount(volume: string, version: string, content: string): Promise<void> {
  await mkdir(join(volume, version));
  await writeFile(join(volume, version, 'cert.pem'), content);
  await symlink(version, join(volume, '..data_tmp'));
  await rename(join(volume, '..data_tmp'), join(volume, '..data'));
}

describe('credentials from a mounted volume', () => {
  let volume: string;
  beforeEach(async () => {
    volume = await mkdtemp(join(tmpdir(), 'warp-credentials-'));
  });
  afterEach(() => rm(volume, { recursive: true }));

  it('are taken over when the kubelet swaps the mount', async () => {
    await mount(volume, '..one', cert('one'));
    await symlink(join('..data', 'cert.pem'), join(volume, 'cert.pem'));
    const clock = new ManualClock();
    const changed: string[] = [];
    let arrived: (token: string) => void = () => {};
    const store = new CredentialStore({
      source: { from: 'origincert', path: join(volume, 'cert.pem') },
      clock,
      onChange: ({ apiToken }) => {
        changed.push(apiToken);
        arrived(apiToken);
      },
    });
    await store.start();
    const second = new Promise<string>((resolve) => {
      arrived = resolve;
    });
    await mount(volume, '..two', cert('two'));
    await clock.advance(pollMs);
    expect(await second).to.equal('two');
    expect(changed).to.deep.equal(['one', 'two']);
    store.close();
  });

  it('that are missing, a directory, or too large say so', async () => {
    await mkdir(join(volume, 'directory'));
    await writeFile(join(volume, 'large'), 'x'.repeat(70_000));
    const cases: readonly [string, RegExp][] = [
      ['missing', /missing cannot be read: it does not exist$/],
      ['directory', /directory cannot be read: it is a directory$/],
      ['large', /large cannot be read: it is larger than 65536 characters$/],
    ];
    for (const [name, pattern] of cases) {
      const source = { from: 'origincert', path: join(volume, name) } as const;
      const store = new CredentialStore({ source, clock: new ManualClock() });
      await store.start();
      store.close();
      expect(store.problem()?.message).to.match(pattern);
    }
  });
});
