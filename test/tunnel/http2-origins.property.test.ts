import { type Settings, sensitiveHeaders } from 'node:http2';
import { buffer } from 'node:stream/consumers';
import { expect } from 'chai';
import fc from 'fast-check';
import { answerOf, openStream } from '../support/edge-request.ts';
import { scriptHttp2 } from '../support/http2-origin.ts';
import { proxied } from '../support/proxied.ts';
import { tableTo } from '../support/route-to.ts';

/** One request, and what the origin makes of it. */
interface Act {
  readonly up: number;
  readonly sized: boolean;
  readonly down: number;
  readonly pieceBytes: number;
  readonly headers: readonly string[];
  readonly trailers: boolean;
  /** The origin answers before it has read the request, or behind that. */
  readonly early: boolean;
}

const bytes = fc.oneof(fc.constantFrom(0, 1, 16_384, 65_535, 65_536), fc.nat(200_000));
const act: fc.Arbitrary<Act> = fc.record({
  up: bytes,
  sized: fc.boolean(),
  down: bytes,
  pieceBytes: fc.constantFrom(1000, 16_384, 70_000),
  headers: fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '~'), maxLength: 40 }), { maxLength: 4 }),
  trailers: fc.boolean(),
  early: fc.boolean(),
});
const settings: fc.Arbitrary<Settings> = fc.record({
  initialWindowSize: fc.constantFrom(10, 1000, 65_535, 2 ** 20),
  maxFrameSize: fc.constantFrom(16_384, 2 ** 20),
  headerTableSize: fc.constantFrom(0, 100, 4096, 65_536),
  maxConcurrentStreams: fc.constantFrom(1, 3, 100),
});

/** The byte at a place of a body, so that neither order nor place can be mistaken. */
function bodyOf(length: number, seed: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, at) => (at * 31 + seed) & 0xff));
}

function* piecesOf(body: Buffer, pieceBytes: number): Iterable<Buffer> {
  for (let at = 0; at < body.length; at += pieceBytes) yield body.subarray(at, at + pieceBytes);
}

async function survives(drawn: readonly Act[], offered: Settings): Promise<void> {
  // A small window takes a round trip for each piece.
  const mostBytes = 100 * (offered.initialWindowSize ?? 0);
  const acts = drawn.map((one) => ({ ...one, up: Math.min(one.up, mostBytes) }));
  const received = new Map<number, Buffer>();
  const origin = await scriptHttp2(
    (stream, head) => {
      const index = Number(String(head[':path']).slice(1));
      const { down, pieceBytes, headers, trailers, early } = acts[index]!;
      const answer = (): void => {
        const fields = Object.fromEntries(headers.map((value, at) => [`x-${at}`, value]));
        stream.respond({ ':status': 200, ...fields, [sensitiveHeaders]: ['x-0'] }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers(trailers ? { 'x-sum': String(down) } : {}));
        for (const piece of piecesOf(bodyOf(down, index), pieceBytes)) stream.write(piece);
      };
      if (early) answer();
      void buffer(stream).then((body) => {
        received.set(index, body);
        if (!early) answer();
        stream.end();
      });
    },
    { settings: offered },
  );
  const here = await proxied(() => {}, { routes: () => tableTo([origin.port], { protocol: 'h2c' }) });
  try {
    const answers = await Promise.all(
      acts.map(({ up, sized, pieceBytes }, index) => {
        const length: Record<string, string> = sized ? { 'content-length': String(up) } : {};
        const stream = openStream(here.edge, `/${index}`, { ':method': 'POST', ...length });
        for (const piece of piecesOf(bodyOf(up, index), pieceBytes)) stream.write(piece);
        stream.end();
        return answerOf(stream);
      }),
    );
    for (const [index, { up, down, headers, trailers }] of acts.entries()) {
      const answer = answers[index]!;
      expect(answer.status).to.equal(200);
      expect(received.get(index)?.equals(bodyOf(up, index)), `upload ${index}`).to.equal(true);
      expect(answer.body.equals(bodyOf(down, index)), `download ${index}`).to.equal(true);
      const told = headers.flatMap((value, at) => [`X-${at}`, value]);
      expect(answer.originHeaders?.slice(0, told.length)).to.deep.equal(told);
      expect(answer.trailers['x-sum']).to.equal(trailers ? String(down) : undefined);
    }
    expect(here.proxy.openRequests).to.equal(0);
  } finally {
    await here.stop();
    await origin.stop();
  }
}

describe('requests to the HTTP/2 server of Node.js', () => {
  it('arrive and are answered byte for byte, whatever it allows and however they come', async () => {
    await fc.assert(fc.asyncProperty(fc.array(act, { minLength: 1, maxLength: 8 }), settings, survives), {
      numRuns: 25,
    });
  });
});
