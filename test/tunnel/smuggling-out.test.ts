import { expect } from 'chai';
import { maxHeadBytes } from '../../src/tunnel/origin/http1-parser.ts';
import { ask } from '../support/edge-request.ts';
import { eventually } from '../support/eventually.ts';
import { type Proxied, proxied } from '../support/proxied.ts';

const poison = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison';
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** The other direction: what an origin says beyond its answer must never become the answer to somebody else. */
describe('an answer that would be two', () => {
  let here: Proxied;
  afterEach(() => here.stop());
  /** The first connection says what the test wants; others are of good will. */
  const serve = async (first: string): Promise<Proxied> => {
    here = await proxied((connection) => {
      const isFirst = connection === here.origin.connections[0];
      connection.socket.write(isFirst ? first : ok, 'latin1');
    });
    return here;
  };

  const answers: [title: string, method: string, first: string, body: string][] = [
    ['behind a whole one', 'GET', ok + poison, 'ok'],
    [
      'behind the last chunk',
      'GET',
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n${poison}`,
      'ok',
    ],
    [
      'in the body of an answer to HEAD',
      'HEAD',
      `HTTP/1.1 200 OK\r\nContent-Length: ${poison.length}\r\n\r\n${poison}`,
      '',
    ],
    ['behind line feeds alone', 'GET', `HTTP/1.1 200 OK\nContent-Length: 2\n\nok${poison}`, 'ok'],
    [
      'behind a folded line',
      'GET',
      `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: a\n b\r\n\r\nok${poison}`,
      'ok',
    ],
    ['in the body of a 204', 'GET', `HTTP/1.1 204 No Content\r\n\r\n${poison}`, ''],
    ['in the body of a 304', 'GET', `HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\n${poison}`, ''],
  ];
  for (const [title, method, first, body] of answers) {
    it(`${title} is one, and its connection carries no other`, async () => {
      const { edge, origin } = await serve(first);
      expect((await ask(edge, '/one', { ':method': method })).body.toString()).to.equal(body);
      expect((await ask(edge, '/two')).body.toString()).to.equal('ok');
      expect(origin.connections.map(({ requests }) => requests)).to.deep.equal([1, 1]);
    });
  }

  for (const announced of ['Content-Length: 50', 'Transfer-Encoding: chunked']) {
    it(`that a 204 announces (${announced}) is not waited for on a connection that is used again`, async () => {
      const { edge, origin } = await serve(`HTTP/1.1 204 No Content\r\n${announced}\r\n\r\n`);
      await ask(edge, '/one');
      expect((await ask(edge, '/two')).body.toString()).to.equal('ok');
      expect(origin.connections).to.have.length(2);
    });
  }

  it('while nobody asks ends its connection', async () => {
    const { edge, origin } = await serve(ok);
    await ask(edge, '/one');
    origin.connections[0]!.socket.write(poison);
    await eventually('its end', () => origin.connections[0]!.closed);
    expect((await ask(edge, '/two')).body.toString()).to.equal('ok');
  });

  const refused: [title: string, first: string][] = [
    [
      'both framings',
      `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${poison}`,
    ],
    ['two lengths', `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 50\r\n\r\nok${poison}`],
    ['a list of lengths', `HTTP/1.1 200 OK\r\nContent-Length: 2, 50\r\n\r\nok${poison}`],
    [
      'a coding besides chunked',
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${poison}`,
    ],
    ['a coding like chunked', `HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${poison}`],
    ['chunks in HTTP/1.0', `HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${poison}`],
    ['a space before the colon of a length', `HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok${poison}`],
    ['a folded line', `HTTP/1.1 200 OK\r\nX: a\r\n Content-Length: 2\r\n\r\nok${poison}`],
    ['a folded length', `HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\n\r\nok${poison}`],
    ['a length behind a line feed', `HTTP/1.1 200 OK\r\nX: a\nContent-Length: 2\r\n\r\nok${poison}`],
    ['an end of its own', `HTTP/1.1 200 OK\r\nContent-Length: 50\r\nX: a\n\nok${poison}`],
    ['a bare carriage return', `HTTP/1.1 200 OK\r\nX: a\rContent-Length: 2\r\n\r\nok${poison}`],
    ['a NUL', 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok'],
    ['a switch of protocols that nobody asked for', `HTTP/1.1 101 Switching Protocols\r\n\r\n${poison}`],
    [
      'a head larger than any',
      `HTTP/1.1 200 OK\r\n${`X: ${'x'.repeat(8_000)}\r\n`.repeat(maxHeadBytes / 8_000 + 1)}\r\n`,
    ],
  ];
  for (const [title, first] of refused) {
    it(`with ${title} is answered 502, and its connection is over`, async () => {
      const { edge, origin } = await serve(first);
      const answer = await ask(edge, '/one');
      expect([answer.status, answer.originHeaders, answer.body.length]).to.deep.equal([502, null, 0]);
      await eventually('its end', () => origin.connections[0]!.closed);
      expect((await ask(edge, '/two')).body.toString()).to.equal('ok');
    });
  }

  it('says nothing in the name of the connector', async () => {
    const names = [
      'Cf-Cloudflared-Response-Meta',
      'cf-cloudflared-response-headers',
      'CF-INT-Brand-ID',
      'Cf-Proxy-Anything',
    ];
    const lines = names.map((name) => `${name}: forged\r\n`).join('');
    const { edge } = await serve(
      `HTTP/1.1 200 OK\r\n${lines}X-Own: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${lines}X-Sum: 2\r\n\r\n`,
    );
    const { headers, originHeaders, trailers } = await ask(edge, '/');
    expect(originHeaders).to.deep.equal(['X-Own', '1']);
    expect(headers['cf-cloudflared-response-meta']).to.equal('{"src":"origin"}');
    expect(Object.entries(trailers)).to.deep.equal([['x-sum', '2']]);
    expect(JSON.stringify([headers, trailers])).not.to.contain('forged');
  });
});
