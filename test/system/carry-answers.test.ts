import { buffer } from 'node:stream/consumers';
import { expect } from 'chai';
import { CarryingStage, carriers, mostHeldBytes } from '../support/carrying-stage.ts';
import { eventually } from '../support/eventually.ts';
import { drained, pour } from '../support/pouring.ts';
import { standsStill } from '../support/stands-still.ts';

const mebi = 1 << 20;

/** On the whole way: edge, thread, connector, application. */
for (const carrier of carriers)
  describe(`an answer carried through connector and edge: ${carrier}`, function () {
    this.timeout(60_000);
    let stage: CarryingStage;
    before(async () => {
      stage = await CarryingStage.open(carrier);
    });
    after(() => stage.close());

    it('is flushed event by event, while the application still has more to say', async () => {
      let say: ((event: string) => void) | null = null;
      stage.serve = (_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        say = (event) => void response.write(`data: ${event}\n\n`);
        say('one');
      };
      const response = await stage.answerTo(stage.ask('/events').end());
      const events = response.setEncoding('utf8')[Symbol.asyncIterator]();
      // The second is made only after the first has arrived.
      expect((await events.next()).value).to.equal('data: one\n\n');
      say!('two');
      expect((await events.next()).value).to.equal('data: two\n\n');
      response.destroy();
    });

    it('has its 48 KiB of headers, in order, with those that come several times', async () => {
      const names = Array.from({ length: 48 }, (_, index) => `X-Large-${index}`);
      stage.serve = (_, response) => {
        const cookies = ['a=1', 'b=2', 'a=3'].flatMap((value) => ['Set-Cookie', value]);
        response.writeHead(200, [
          ...names.flatMap((name) => [name, `${name} ${'x'.repeat(1_000)}`]),
          ...cookies,
        ]);
        response.end('ok');
      };
      const response = await stage.answerTo(stage.ask('/').end());
      expect((await buffer(response)).toString()).to.equal('ok');
      for (const name of names) {
        expect(response.headers[name.toLowerCase()]).to.equal(`${name} ${'x'.repeat(1_000)}`);
      }
      expect(response.headers['set-cookie']).to.deep.equal(['a=1', 'b=2', 'a=3']);
    });

    it('has its trailers', async () => {
      stage.serve = (_, response) => {
        response.writeHead(200, { Trailer: 'Grpc-Status' });
        response.write('body');
        response.addTrailers({ 'Grpc-Status': '0' });
        response.end();
      };
      const response = await stage.answerTo(stage.ask('/').end());
      await buffer(response);
      expect(response.trailers).to.deep.equal({ 'grpc-status': '0' });
    });

    it('of 64 MiB is whole', async () => {
      stage.serve = (_, response) => pour(response, 64 * mebi);
      const response = await stage.answerTo(stage.ask('/').end());
      expect(await drained(response)).to.equal(64 * mebi);
    });

    it('waits for its slow reader, and nobody keeps it meanwhile', async () => {
      let poured = 0;
      stage.serve = (_, response) => pour(response, 64 * mebi, (bytes) => (poured = bytes));
      const response = await stage.answerTo(stage.ask('/').end());
      expect(await standsStill('the application', () => poured)).to.be.lessThan(mostHeldBytes);
      expect(await drained(response)).to.equal(64 * mebi);
    });

    it('that is given up frees the application at once', async () => {
      let closed = false;
      stage.serve = (_, response) => {
        response.on('close', () => (closed = true));
        pour(response, Number.POSITIVE_INFINITY);
      };
      const response = await stage.answerTo(stage.ask('/').end());
      response.destroy();
      await eventually('the application hears it', () => closed);
    });

    it('that the application breaks off does not look whole', async () => {
      stage.serve = (_, response) => {
        response.writeHead(200, { 'content-type': 'text/plain' });
        response.write('part', () => response.destroy());
      };
      const response = await stage.answerTo(stage.ask('/').end());
      const outcome = await buffer(response).then(String, (error: NodeJS.ErrnoException) => error.code);
      expect(outcome).to.equal('ECONNRESET');
    });
  });
