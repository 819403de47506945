import { readFileSync } from 'node:fs';
import { assert } from 'chai';
import { goArch, programVersion } from '../../src/tunnel/client-info.ts';
import { ipv6Bytes } from '../../src/tunnel/edge-connection.ts';

describe('what a registration says of us', () => {
  it('is the version of package.json', () => {
    assert.strictEqual(programVersion, JSON.parse(readFileSync('package.json', 'utf8')).version);
  });

  it('names system and architecture as Go does', () => {
    assert.strictEqual(goArch('linux', 'x64'), 'linux_amd64');
    assert.strictEqual(goArch('darwin', 'arm64'), 'darwin_arm64');
    assert.strictEqual(goArch('win32', 'x64'), 'windows_amd64');
  });

  const addresses: [string, string][] = [
    ['127.0.0.1', '00000000000000000000ffff7f000001'],
    ['::ffff:10.1.2.3', '00000000000000000000ffff0a010203'],
    ['::1', '00000000000000000000000000000001'],
    ['2001:db8::2:0:ff', '20010db80000000000000002000000ff'],
    ['fe80::1%eth0', 'fe800000000000000000000000000001'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['', ''],
    ['nonsense', ''],
  ];
  for (const [address, hex] of addresses) {
    it(`writes the local address ${JSON.stringify(address)} in 16 bytes`, () =>
      assert.strictEqual(Buffer.from(ipv6Bytes(address)).toString('hex'), hex));
  }
});
