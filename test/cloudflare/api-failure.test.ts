import { expect } from 'chai';
import { APIConnectionError, APIError } from 'cloudflare/core/error';
import { describeFailure, retryAfterOf } from '../../src/cloudflare/api-failure.ts';

const secret = 'super-secret-token';

function refused(
  status: number,
  code: number,
  message = 'why',
  headers: Record<string, string> = {},
): APIError {
  const body = { success: false, errors: [{ code, message }], messages: [], result: null };
  return APIError.generate(status, body, undefined, new Headers(headers));
}

describe('what a failed call means', () => {
  const cases: readonly [string, unknown, string, string][] = [
    ['401', refused(401, 1000), 'zones.list', 'credentials-invalid'],
    ['403', refused(403, 9109), 'zones.list', 'credentials-invalid'],
    ['10000 whatever the status', refused(400, 10000), 'dns.list', 'credentials-invalid'],
    ['malformed authorization', refused(400, 6003), 'dns.list', 'credentials-invalid'],
    ['429', refused(429, 971), 'dns.list', 'cloudflare-rate-limited'],
    ['500', refused(500, 0), 'dns.list', 'cloudflare-unreachable'],
    ['524', refused(524, 0), 'dns.list', 'cloudflare-unreachable'],
    ['no connection', new APIConnectionError({ message: 'x' }), 'dns.list', 'cloudflare-unreachable'],
    [
      'no more tunnels',
      refused(403, 1, 'maximum number of tunnels reached'),
      'tunnels.create',
      'quota-exceeded',
    ],
    ['no more records', refused(400, 81045), 'dns.create', 'quota-exceeded'],
    [
      'a token without permission to create',
      refused(403, 10000, 'limited'),
      'tunnels.create',
      'credentials-invalid',
    ],
    ['anything else', refused(400, 1004), 'dns.create', 'cloudflare-refused'],
    ['an answer that is not JSON', new SyntaxError('x'), 'dns.list', 'cloudflare-refused'],
    ['an empty answer', new TypeError("cannot read 'result'"), 'dns.list', 'cloudflare-refused'],
  ];
  for (const [what, thrown, op, code] of cases) {
    it(`${what}: ${code}`, () => {
      expect(describeFailure(thrown, op, secret).fault.code).to.equal(code);
    });
  }

  it('is told with status, codes and text, but never with the token or control characters', () => {
    const thrown = refused(403, 9109, `Invalid\r\naccess token ${secret}`);
    expect(describeFailure(thrown, 'zones.list', secret).fault.message).to.match(
      /zones\.list.*\(HTTP 403, code 9109: Invalid access token \[redacted\]\)$/,
    );
  });

  it('carries the wish of Retry-After, and a wait of its own for a 429 without', () => {
    for (const status of [429, 503]) {
      const thrown = refused(status, 971, 'slow down', { 'retry-after': '120' });
      expect(describeFailure(thrown, 'dns.list', secret).fault.retryAfterMs).to.equal(120_000);
    }
    expect(describeFailure(refused(429, 971), 'dns.list', secret).fault.retryAfterMs).to.equal(60_000);
    expect(describeFailure(refused(503, 0), 'dns.list', secret).fault.retryAfterMs).to.equal(undefined);
  });

  it('throws a bug on', () => {
    expect(() => describeFailure(new RangeError('bug'), 'dns.list', secret)).to.throw('bug');
  });

  it('reads Retry-After in seconds and as a date, bounded', () => {
    const now = Date.UTC(2026, 0, 1);
    expect(retryAfterOf('30', now)).to.equal(30_000);
    expect(retryAfterOf('Thu, 01 Jan 2026 00:01:00 GMT', now)).to.equal(60_000);
    expect(retryAfterOf('99999999', now)).to.equal(15 * 60_000);
    expect(retryAfterOf('-5', now)).to.equal(0);
    expect(retryAfterOf('soon', now)).to.equal(undefined);
    expect(retryAfterOf(null, now)).to.equal(undefined);
  });
});
