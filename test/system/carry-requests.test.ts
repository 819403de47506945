import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { expect } from 'chai';
import { CarryingStage, carriers, mostHeldBytes } from '../support/carrying-stage.ts';
import { eventually } from '../support/eventually.ts';
import { drained, pour } from '../support/pouring.ts';
import { standsStill } from '../support/stands-still.ts';

const mebi = 1 << 20;

/** On the whole way: edge, thread, connector, application. */
for (const carrier of carriers)
  describe(`a request carried through edge and connector: ${carrier}`, function () {
    this.timeout(60_000);
    let stage: CarryingStage;
    before(async () => {
      stage = await CarryingStage.open(carrier);
    });
    after(() => stage.close());

    let seen: { headers: IncomingMessage['headers']; sha: string; trailers: unknown } | null = null;
    const takeBody = (request: IncomingMessage, response: ServerResponse): void => {
      const hash = createHash('sha256');
      request.on('data', (chunk) => hash.update(chunk));
      request.on('end', () => {
        seen = { headers: request.headers, sha: hash.digest('hex'), trailers: request.trailers };
        response.end('taken');
      });
    };
    const body = randomBytes(3 * mebi);
    const sha = createHash('sha256').update(body).digest('hex');

    beforeEach(() => {
      seen = null;
      stage.serve = takeBody;
    });

    it('brings a body with its length', async () => {
      const headers = { 'content-length': String(body.length) };
      const response = await stage.answerTo(stage.ask('/', { method: 'POST', headers }).end(body));
      expect((await buffer(response)).toString()).to.equal('taken');
      expect(seen!.sha).to.equal(sha);
      expect(seen!.headers).to.include(headers).and.not.have.property('transfer-encoding');
    });

    it('brings a body without a length in chunks, with its trailers', async () => {
      const sent = stage.ask('/', { method: 'PUT', headers: { trailer: 'x-sum', te: 'trailers' } });
      sent.write(body.subarray(0, 1_000));
      sent.write(body.subarray(1_000));
      sent.addTrailers({ 'x-sum': 'abc' });
      sent.end();
      expect((await buffer(await stage.answerTo(sent))).toString()).to.equal('taken');
      expect(seen!.sha).to.equal(sha);
      expect(seen!.headers['transfer-encoding']).to.equal('chunked');
      expect(seen!.headers).not.to.have.property('content-length');
      expect(seen!.trailers).to.deep.equal({ 'x-sum': 'abc' });
    });

    it('that waits for 100 Continue gets it, and the application has the body without having been asked', async () => {
      const headers = { expect: '100-continue', 'content-length': String(body.length) };
      const sent = stage.ask('/', { method: 'POST', headers });
      sent.flushHeaders();
      await once(sent, 'continue');
      expect((await buffer(await stage.answerTo(sent.end(body)))).toString()).to.equal('taken');
      expect(seen!.sha).to.equal(sha);
      expect(seen!.headers).not.to.have.property('expect');
    });

    it('arrives byte by byte as it is written, answered byte by byte', async () => {
      stage.serve = (request, response) => void request.pipe(response);
      const sent = stage.ask('/', { method: 'POST' });
      sent.write('1');
      const response = await stage.answerTo(sent);
      const pieces = response.setEncoding('utf8')[Symbol.asyncIterator]();
      expect((await pieces.next()).value).to.equal('1');
      for (const piece of ['2', '3']) {
        sent.write(piece);
        expect((await pieces.next()).value).to.equal(piece);
      }
      sent.end();
      expect((await pieces.next()).done).to.equal(true);
    });

    it('of 64 MiB is whole', async () => {
      let taken = 0;
      stage.serve = async (request, response) => {
        taken = await drained(request);
        response.end();
      };
      const sent = stage.ask('/', { method: 'POST' });
      pour(sent, 64 * mebi);
      await buffer(await stage.answerTo(sent));
      expect(taken).to.equal(64 * mebi);
    });

    it('waits for an application that reads slowly, and nobody keeps it meanwhile', async () => {
      let poured = 0;
      let readOn: (() => void) | null = null;
      let taken = 0;
      stage.serve = (request, response) => {
        readOn = async () => {
          taken = await drained(request);
          response.end();
        };
      };
      const sent = stage.ask('/', { method: 'POST', headers: { 'content-length': String(64 * mebi) } });
      pour(sent, 64 * mebi, (bytes) => (poured = bytes));
      expect(await standsStill('the eyeball', () => poured)).to.be.lessThan(mostHeldBytes);
      readOn!();
      await buffer(await stage.answerTo(sent));
      expect(taken).to.equal(64 * mebi);
    });

    it('that is given up in its body frees the application at once', async () => {
      let state = 'none';
      stage.serve = (request) => {
        state = 'open';
        request.on('error', () => {});
        request.on('close', () => (state = 'closed'));
        request.resume();
      };
      const sent = stage.ask('/', { method: 'POST' });
      sent.on('error', () => {});
      sent.write('part');
      await eventually('it is there', () => state === 'open');
      sent.destroy();
      await eventually('it is gone', () => state === 'closed');
    });

    it('that is given up before any answer frees the application at once', async () => {
      let state = 'none';
      stage.serve = (_, response) => {
        state = 'open';
        response.on('close', () => (state = 'closed'));
      };
      const sent = stage.ask('/').end();
      sent.on('error', () => {});
      await eventually('it is there', () => state === 'open');
      sent.destroy();
      await eventually('it is gone', () => state === 'closed');
    });

    it('has company: 200 at once, each with its own answer', async () => {
      stage.serve = (request, response) =>
        void request.pipe(response.writeHead(200, { 'x-path': request.url! }));
      const answers = await Promise.all(
        Array.from({ length: 200 }, async (_, index) => {
          const response = await stage.answerTo(
            stage.ask(`/${index}`, { method: 'POST' }).end(`body ${index}`),
          );
          return `${response.headers['x-path']} ${await buffer(response)}`;
        }),
      );
      expect(answers).to.deep.equal(answers.map((_, index) => `/${index} body ${index}`));
    });
  });
