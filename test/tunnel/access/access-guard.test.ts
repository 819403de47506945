import { expect } from 'chai';
import { AccessGuard } from '../../../src/tunnel/access/access-guard.ts';
import type { TeamVerifier } from '../../../src/tunnel/access/team-verifier.ts';
import { createCounts } from '../../../src/tunnel/counts.ts';
import type { StreamHandler } from '../../../src/tunnel/http2/stream.ts';
import { http2Error } from '../../../src/tunnel/wire/http2-errors.ts';
import { eventually } from '../../support/eventually.ts';
import { keptLog } from '../../support/kept-log.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { RecordedStream } from '../../support/recorded-stream.ts';

const routes = { host: 'app.example.com', routes: [], access: { team: 'acme', audience: ['app'] } };
const head = {
  ...{ method: 'POST', path: '/', scheme: 'https', authority: 'app.example.com' },
  headers: ['cf-access-jwt-assertion', 'a token'],
  ended: false,
};
const admitted = { audiences: ['app'], expiresAtMs: Number.POSITIVE_INFINITY };

function guarded(verify: () => Promise<unknown>, open: () => StreamHandler) {
  const { log, lines } = keptLog();
  const counts = createCounts();
  const verifier = { known: () => null, verify, onProblem: () => () => {}, warm: () => {} };
  const guard = new AccessGuard(
    { open, updateRoutes: () => {}, openRequests: 0, destroy: () => {} },
    {
      ...{ routes, counts, log, clock: new ManualClock(), hearAccess: () => {} },
      teams: { verifierOf: () => verifier as unknown as TeamVerifier, destroy: () => {} },
    },
  );
  return { guard, counts, lines };
}

describe('the guard of a tunnel with Access', () => {
  for (const [title, verify, open, expected] of [
    [
      'the verdict on a request',
      () => Promise.reject(new Error('a bug')),
      () => expect.fail('it was let through'),
      { reset: http2Error.noError, statuses: [502], requests: [0, 0, 0, 0, 0, 1] },
    ],
    [
      'what an admitted request comes to',
      () => Promise.resolve(admitted),
      () => {
        throw new Error('a bug');
      },
      { reset: http2Error.internalError, statuses: [], requests: [1, 0, 0, 0, 0, 0] },
    ],
  ] as const) {
    it(`survives a bug in ${title}, which costs that request alone`, async () => {
      const { guard, counts, lines } = guarded(verify, open);
      const stream = new RecordedStream();
      const held = guard.open(stream, head);
      held.data(Buffer.from('body'));
      expect(guard.openRequests).to.equal(1);
      await eventually('its end', () => stream.resetWith !== null);
      expect({
        reset: stream.resetWith,
        statuses: stream.responses.map(({ status }) => status),
        requests: counts.take()?.requests,
      }).to.deep.equal(expected);
      expect([guard.openRequests, lines.length]).to.deep.equal([0, 1]);
    });
  }

  it('passes on in few pieces what came byte by byte before the verdict', async () => {
    const pieces: string[] = [];
    const handler = {
      data: (chunk: Buffer) => void pieces.push(chunk.toString()),
      ...{ end: () => {}, reset: () => {}, drain: () => {} },
    };
    const { guard } = guarded(
      () => Promise.resolve(admitted),
      () => handler,
    );
    const held = guard.open(new RecordedStream(), head);
    const bytes = 'abcdefghij'.repeat(1_000);
    for (const byte of bytes) held.data(Buffer.from(byte));
    await eventually('the verdict', () => pieces.length > 0);
    expect(pieces.join('') === bytes).to.equal(true);
    expect(pieces.length).to.be.below(20);
  });
});
