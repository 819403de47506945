import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { createEdgeSession } from '../../../src/tunnel/http2/server/session.ts';
import { HpackDecoder } from '../../../src/tunnel/wire/hpack-decoder.ts';
import { frameHeaderBytes, frameType } from '../../../src/tunnel/wire/http2-frames.ts';
import { decodeResponseHeaders } from '../../../src/tunnel/wire/response-headers.ts';
import { valueIn } from '../../support/decoded-value.ts';
import { socketPair } from '../../support/edge-peer.ts';
import { eventually } from '../../support/eventually.ts';
import { rethrown } from '../../support/rethrown.ts';

/** What one side of the recorded connection sent. It lies beside the sources, not in `dist`. */
function sentBy(side: '>' | '<'): Buffer {
  const lines = readFileSync('test/golden/http2-cloudflared.txt', 'utf8')
    .split(/\n(?=[<>] )/)
    .slice(1);
  const ours = lines.filter((line) => line.startsWith(side));
  return Buffer.from(ours.map((line) => line.slice(2).replaceAll(/\s/g, '')).join(''), 'hex');
}

describe('a recorded connection between Go and cloudflared', () => {
  it('is read by our session as what Go was asked to send', async () => {
    const seen: { path: string; headers: readonly string[]; body: string; trailers: readonly string[] }[] =
      [];
    const { near, far } = await socketPair();
    const session = createEdgeSession(near, {
      stream(_, { path, headers, ended }) {
        const request = { path, headers, body: '', trailers: [] as readonly string[] };
        seen.push(request);
        return {
          data: (chunk) => (request.body += ended ? '' : chunk.toString('latin1')),
          end: (trailers) => (request.trailers = trailers),
          reset() {},
          drain() {},
        };
      },
      goaway() {},
      handlerThrew: rethrown,
      ended() {},
    });
    far.write(sentBy('>'));
    await eventually('the last trailer', () => seen.at(-1)?.trailers.length === 2);
    expect(seen.map(({ path }) => path)).to.deep.equal([
      '/',
      '/small',
      '/small?again=1',
      '/missing',
      '/echo',
    ]);
    const plain = ['accept-encoding', 'gzip, br', 'cf-ray', '0123456789abcdef-GOS'];
    for (const { headers } of seen.slice(1, 4)) expect(headers).to.include.members(plain);
    expect(seen[1]!.headers).to.include.members(['cookie', 'a=1', 'b=2']);
    expect(seen[4]).to.include({ body: 'a body without a length' });
    expect(seen[4]!.trailers).to.deep.equal(['x-check', 'sum']);
    session.destroy();
    far.destroy();
  });

  it('has answers of cloudflared that our decoders read', () => {
    const decoder = new HpackDecoder(4096, { maxListBytes: 1 << 20, maxFields: 100 });
    const bytes = sentBy('<');
    const heads: string[][] = [];
    for (let at = 0; at < bytes.length; at += frameHeaderBytes + bytes.readUIntBE(at, 3)) {
      if (bytes[at + 3] !== frameType.headers) continue;
      const start = at + frameHeaderBytes;
      heads.push(
        decoder
          .decode(bytes, start, start + bytes.readUIntBE(at, 3))!
          .flatMap(({ name, value }) => [name, value]),
      );
    }
    const of = (head: string[], name: string): string => head[head.indexOf(name) + 1]!;
    expect(
      heads.map((head) => (head.includes(':status') ? of(head, ':status') : head.join(': '))),
    ).to.deep.equal([...['200', '200', '200', '404', '200', 'x-check: sum']]);
    for (const head of heads.slice(1, 5)) {
      expect(of(head, 'cf-cloudflared-response-meta')).to.equal('{"src":"origin"}');
      const origin = valueIn(decodeResponseHeaders(of(head, 'cf-cloudflared-response-headers')));
      expect(origin).to.include.members(['Date', 'Connection', 'keep-alive']);
    }
    expect(valueIn(decodeResponseHeaders(of(heads[1]!, 'cf-cloudflared-response-headers')))).to.include(
      'X-Origin',
    );
  });
});
