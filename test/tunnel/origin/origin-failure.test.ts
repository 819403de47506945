import { expect } from 'chai';
import { failureOf } from '../../../src/tunnel/origin/origin-failure.ts';

describe('the failure in the error of a socket', () => {
  /** One of each kind that Node.js documents (node:tls, "X509 certificate error codes"). */
  for (const code of [
    'CERT_HAS_EXPIRED',
    'CRL_HAS_EXPIRED',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'ERROR_IN_CERT_NOT_AFTER_FIELD',
    'ERROR_IN_CRL_NEXT_UPDATE_FIELD',
    'HOSTNAME_MISMATCH',
    'INVALID_CA',
    'INVALID_PURPOSE',
    'PATH_LENGTH_EXCEEDED',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  ]) {
    it(`is one of TLS for ${code}`, () => {
      const failure = failureOf(Object.assign(new Error('a certificate'), { code }));
      expect(failure).to.deep.equal({ reason: 'tls', message: code });
    });
  }
});
