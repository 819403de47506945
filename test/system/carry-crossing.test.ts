import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { expect } from 'chai';
import { CarryingStage } from '../support/carrying-stage.ts';

const requests = 12;

/**
 * All sockets of a thread are read into one buffer. What waits anywhere on the way (for a connection, for window,
 * for a slow reader) must have been copied out of it before the next read.
 */
describe('many requests carried at once', function () {
  this.timeout(60_000);
  let stage: CarryingStage;
  before(async () => {
    stage = await CarryingStage.open();
  });
  after(() => stage.close());

  for (const framing of ['with a length', 'in chunks'] as const) {
    it(`each get their own bytes back, ${framing}`, async () => {
      stage.serve = (request, response) => {
        response.writeHead(200);
        request.pipe(response);
      };
      const bodies = Array.from({ length: requests }, (_, index) => randomBytes(1 + index * 60_000));
      const answers = await Promise.all(
        bodies.map(async (body) => {
          const length: Record<string, string> = { 'content-length': String(body.length) };
          const headers = framing === 'with a length' ? length : {};
          const sent = stage.ask('/', { method: 'POST', headers });
          // Within the answer, so that both directions are full at the same time.
          const answered = stage.answerTo(sent);
          sent.write(body.subarray(0, 1));
          sent.end(body.subarray(1));
          return buffer(await answered);
        }),
      );
      expect(answers.map((answer, index) => answer.equals(bodies[index]!))).to.not.include(false);
    });
  }
});
