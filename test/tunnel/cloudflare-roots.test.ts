import { X509Certificate } from 'node:crypto';
import { assert } from 'chai';
import { cloudflareRoots } from '../../src/tunnel/cloudflare-roots.ts';

describe("Cloudflare's roots", () => {
  it('are the three with the published fingerprints, and authorities', () => {
    const certificates = cloudflareRoots.map((pem) => new X509Certificate(pem));
    assert.deepEqual(
      certificates.map(({ fingerprint256 }) => fingerprint256.replaceAll(':', '')),
      [
        'AA63697A22764B67B2134CE14CB5690EA336940B93986113F49545917832D80D',
        'D3C7E85C91707FC0A12ABC5D88266747AA4FA8E7B162F633FFB3C9D989947620',
        '9A1AC2B4BE15F9F27EEE20A734CBA4E9898F61001B3BD7C84B69B56A3E25A2B9',
      ],
    );
    assert.isTrue(certificates.every(({ ca }) => ca));
  });
});
