import { expect } from 'chai';
import { readingsOf, tunnelName } from '../../src/domain/host.ts';
import { failed, ok, type Result } from '../../src/fault.ts';
import { readIdentity } from '../../src/identity.ts';
import type { KubeClient } from '../../src/kube/client.ts';

const uid = '6f9619ff-8b86-d011-b42d-00cf4fc964ff';
const { signal } = new AbortController();

function read(identity: string | null, ingressClass: string, answer: Result<string> = ok(uid)) {
  // Nothing else of the client is used.
  const client = { readNamespaceUid: async () => answer } as unknown as KubeClient;
  return readIdentity({ identity, ingressClass }, client, signal);
}

describe('the identity of an install', () => {
  it('is the one that is given, else the namespace’s UID', async () => {
    expect(await read('me', 'cloudflare-warp', failed('kube-unreachable', 'away'))).to.deep.equal(ok('me'));
    expect(await read(null, 'cloudflare-warp')).to.deep.equal(ok(uid));
    expect((await read(null, 'cloudflare-warp', failed('kube-unreachable', 'away'))).ok).to.equal(false);
  });

  it('of another class in the same namespace is another one, and no name of theirs is one of ours', async () => {
    const other = await read(null, 'internal');
    const identity = other.ok ? other.value : '';
    const readings = readingsOf(tunnelName(identity, 'app.example.com'));
    expect(readings.map((reading) => reading.identity))
      .to.include(identity)
      .and.not.to.include(uid);
  });
});
