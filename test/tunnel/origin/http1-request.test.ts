import { expect } from 'chai';
import fc from 'fast-check';
import type { RequestHead } from '../../../src/tunnel/edge-session.ts';
import {
  hostOf,
  planRequest,
  requestHeadText,
  trailerText,
} from '../../../src/tunnel/origin/http1-request.ts';

const rules = { connectorId: 'the-id', hostHeader: null };

function head(given: Partial<RequestHead> = {}): RequestHead {
  const plain = {
    method: 'GET',
    path: '/',
    scheme: 'https',
    authority: 'app.example.com',
    headers: [],
    ended: true,
  };
  return { ...plain, ...given };
}

/** Header lines as the origin gets them, or what was refused. */
function written(given: Partial<RequestHead>, hostHeader: string | null = null): string[] {
  const plan = planRequest(head(given), { ...rules, hostHeader });
  if ('refused' in plan) return [`refused: ${plan.refused}`];
  const text = requestHeadText(plan, 'none');
  expect(text.endsWith('\r\n\r\n')).to.equal(true);
  return text.slice(0, -4).split('\r\n');
}

function refused(given: Partial<RequestHead>): boolean {
  return 'refused' in planRequest(head(given), rules);
}

describe('HTTP/1.1 request head', () => {
  it('has Host first, the headers in order, keep-alive and the connector id', () => {
    expect(written({ path: '/a?b', headers: ['x-one', '1', 'accept', '*/*', 'x-one', ''] })).to.deep.equal([
      'GET /a?b HTTP/1.1',
      'Host: app.example.com',
      'X-One: 1',
      'Accept: */*',
      'X-One: ',
      'Connection: keep-alive',
      'Cf-Warp-Tag-Id: the-id',
    ]);
  });

  const cases: [title: string, given: Partial<RequestHead>, has: string[], hasNot: string[]][] = [
    [
      'joins cookies',
      { headers: ['cookie', 'a=1', 'x', 'y', 'cookie', 'b=2'] },
      ['Cookie: a=1; b=2'],
      ['Cookie: a=1'],
    ],
    ['drops the expectation of a 100', { headers: ['expect', '100-Continue'] }, [], ['Expect: 100-Continue']],
    ['passes other expectations', { headers: ['expect', 'else'] }, ['Expect: else'], []],
    ['drops the trace', { headers: ['cf-trace-id', 'a:b:c:1'] }, [], ['Cf-Trace-Id: a:b:c:1']],
    [
      'drops the upgrade header, also with an unknown value',
      { headers: ['cf-cloudflared-proxy-connection-upgrade', 'other'] },
      ['Connection: keep-alive'],
      ['Cf-Cloudflared-Proxy-Connection-Upgrade: other'],
    ],
    ['adds no User-Agent', {}, [], ['User-Agent: ']],
    [
      'takes no connector id from outside',
      { headers: ['cf-warp-tag-id', 'forged'] },
      ['Cf-Warp-Tag-Id: the-id'],
      ['Cf-Warp-Tag-Id: forged'],
    ],
    ['passes te', { headers: ['te', 'trailers'] }, ['Te: trailers'], []],
    [
      'takes Host from a host header only without :authority',
      { authority: '', headers: ['host', 'other.example.com'] },
      ['Host: other.example.com'],
      [],
    ],
    [
      'prefers :authority',
      { headers: ['host', 'other.example.com'] },
      ['Host: app.example.com'],
      ['Host: other.example.com'],
    ],
    [
      'asks for a WebSocket',
      {
        headers: [
          'cf-cloudflared-proxy-connection-upgrade',
          'websocket',
          'sec-websocket-version',
          '8',
          'sec-websocket-key',
          'k',
        ],
      },
      ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-Websocket-Version: 13', 'Sec-Websocket-Key: k'],
      ['Connection: keep-alive', 'Sec-Websocket-Version: 8'],
    ],
    [
      'leaves the WebSocket version of an ordinary request',
      { headers: ['sec-websocket-version', '8'] },
      ['Sec-Websocket-Version: 8'],
      [],
    ],
  ];
  for (const [title, given, has, hasNot] of cases) {
    it(title, () => {
      const lines = written(given);
      expect(lines).to.include.members(has);
      for (const line of hasNot) expect(lines).not.to.include(line);
    });
  }

  it('replaces Host and says what it was', () => {
    expect(written({ authority: 'app.example.com:443' }, 'inner.svc')).to.include.members([
      'Host: inner.svc',
      'X-Forwarded-Host: app.example.com:443',
    ]);
  });

  describe('of a path', () => {
    const paths: [sent: string, line: string][] = [
      ['//a/../b%2f?x=1;2', '//a/../b%2f?x=1;2'],
      ['/a|b[c]"<d> #e', '/a%7Cb%5Bc%5D%22%3Cd%3E%20%23e'],
      ['/[id]/a', '/[id]/a'],
      ['/caf\xe9', '/caf%E9'],
      ['/a|b%2fc?q=|\xe9', '/a%7Cb%2fc?q=|\xe9'],
      ['/?a?b', '/?a?b'],
      ['*', '*'],
    ];
    for (const [sent, line] of paths) {
      it(`writes ${JSON.stringify(sent)}`, () =>
        expect(written({ path: sent })[0]).to.equal(`GET ${line} HTTP/1.1`));
    }
    for (const path of [
      '',
      'a',
      'http://other/',
      '/%zz',
      '/%',
      '/a%2',
      '/a\r\nb',
      '/a\0',
      '/?a b',
      '/?a\r\nb',
      '/?\x7f',
      '/\u010a',
      '/?\u010a',
    ]) {
      it(`refuses ${JSON.stringify(path)}`, () => expect(refused({ path })).to.equal(true));
    }
  });

  describe('refuses', () => {
    const cases: [title: string, given: Partial<RequestHead>][] = [
      ['a method that is no token', { method: 'GET /x HTTP/1.1\r\n' }],
      ['CONNECT', { method: 'CONNECT' }],
      ['an empty method', { method: '' }],
      ['a line break in a value', { headers: ['a', 'b\r\nc: d'] }],
      ['a line feed in a value', { headers: ['a', 'b\nc: d'] }],
      ['a NUL in a value', { headers: ['a', 'b\0'] }],
      ['a character that ends in a line feed byte', { headers: ['a', 'b\u010a'] }],
      ['a name with a space', { headers: ['a b', 'c'] }],
      ['a name with a colon', { headers: ['a:', 'c'] }],
      ['an empty name', { headers: ['', 'c'] }],
      ['a line break in :authority', { authority: 'a\r\nb: c' }],
      ['user information in :authority', { authority: 'user@app.example.com' }],
      ['two hosts', { authority: '', headers: ['host', 'a', 'host', 'b'] }],
      ['transfer-encoding', { headers: ['transfer-encoding', 'chunked'] }],
      ['connection', { headers: ['connection', 'x'] }],
      ['keep-alive', { headers: ['keep-alive', 'x'] }],
      ['upgrade', { headers: ['upgrade', 'h2c'] }],
      ['proxy-connection', { headers: ['proxy-connection', 'x'] }],
      ['two lengths', { ended: false, headers: ['content-length', '1', 'content-length', '2'] }],
      ['a length that is no number', { ended: false, headers: ['content-length', '1, 1'] }],
      ['a length without a body', { headers: ['content-length', '1'] }],
    ];
    for (const [title, given] of cases) it(title, () => expect(refused(given)).to.equal(true));
  });

  it('is one request whatever is in it', () => {
    const text = fc.string({
      unit: fc.integer({ min: 0, max: 0x17f }).map((code) => String.fromCharCode(code)),
      maxLength: 12,
    });
    const given = fc.record({
      method: fc.oneof(fc.constant('GET'), text),
      path: fc.oneof(
        text.map((rest) => `/${rest}`),
        text,
      ),
      authority: fc.oneof(fc.constant('a'), text),
      headers: fc.array(fc.tuple(fc.oneof(fc.constantFrom('a', 'cookie', 'host', 'trailer'), text), text), {
        maxLength: 4,
      }),
    });
    fc.assert(
      fc.property(given, ({ headers, ...rest }) => {
        const plan = planRequest(head({ ...rest, headers: headers.flat() }), rules);
        if ('refused' in plan) return;
        const bytes = Buffer.from(requestHeadText(plan, 'chunked'), 'latin1').toString('latin1');
        const lines = bytes.split('\r\n');
        expect(lines.splice(-2)).to.deep.equal(['', '']);
        expect(bytes.replaceAll('\r\n', '')).not.to.match(/[\r\n\0]/);
        expect(lines.shift()).to.match(/^[^ ]+ [^ ]+ HTTP\/1\.1$/);
        for (const line of lines) expect(line).to.match(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+: /);
        expect(lines.filter((line) => line.startsWith('Host:'))).to.have.length(1);
      }),
      { numRuns: 1_000 },
    );
  });

  it('frames its body as it is told', () => {
    const plan = planRequest(
      head({
        ended: false,
        headers: ['trailer', 'X-Sum, content-length, Authorization, if-match, bad name'],
      }),
      rules,
    );
    if ('refused' in plan) throw new Error(plan.refused);
    expect(requestHeadText(plan, { length: 0 })).to.match(/\r\nContent-Length: 0\r\n\r\n$/);
    expect(requestHeadText(plan, { length: 0 })).not.to.contain('Trailer');
    expect(requestHeadText(plan, 'chunked')).to.match(
      /\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n$/,
    );
    expect(
      trailerText(plan.announcedTrailers, ['x-sum', '1', 'content-length', '5', 'x-other', '2']),
    ).to.equal('X-Sum: 1\r\n\r\n');
    expect(trailerText(plan.announcedTrailers, ['x-sum', '1\r\nb: c'])).to.equal('\r\n');
  });

  it('knows a private-network TCP stream, which a WebSocket is not', () => {
    const source = ['cf-cloudflared-proxy-src', '10.0.0.1'];
    const upgrade = ['cf-cloudflared-proxy-connection-upgrade', 'websocket'];
    expect(planRequest(head({ headers: source }), rules)).to.have.property('privateTcp', true);
    expect(planRequest(head({ headers: [...source, ...upgrade] }), rules)).to.have.property(
      'privateTcp',
      false,
    );
  });

  it('finds the host in an authority', () => {
    expect(['a.b', 'a.b:1', 'a.b.', 'a.b.:1', '[::1]', '[::1]:80', ''].map(hostOf)).to.deep.equal([
      'a.b',
      'a.b',
      'a.b',
      'a.b',
      '[::1]',
      '[::1]',
      '',
    ]);
  });
});
