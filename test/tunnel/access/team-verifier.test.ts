import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { type AccessTeams, createAccessTeams } from '../../../src/tunnel/access/access-teams.ts';
import { maxCertsBytes } from '../../../src/tunnel/access/fetch-certs.ts';
import {
  fetchBackoff,
  fetchTimeoutMs,
  maxAgeMs,
  maxAgeWhileAwayMs,
  refreshAfterMs,
} from '../../../src/tunnel/access/team-keys.ts';
import type { TeamVerifier } from '../../../src/tunnel/access/team-verifier.ts';
import { AccessKey, certsOf } from '../../support/access-key.ts';
import { answersWith, CertsServer } from '../../support/certs-server.ts';
import { eventually } from '../../support/eventually.ts';
import { keptLog } from '../../support/kept-log.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const firstKey = new AccessKey('one');
const secondKey = new AccessKey('two');
const down = answersWith('', 503);

describe('the keys of an Access team', () => {
  let clock: ManualClock;
  let certs: CertsServer;
  let teams: AccessTeams;
  let acme: TeamVerifier;
  let logged: readonly Record<string, unknown>[];

  const setUp = async (answer: RequestListener): Promise<void> => {
    clock = new ManualClock();
    certs = await CertsServer.start(answer);
    const { log, lines } = keptLog();
    logged = lines;
    teams = createAccessTeams({ certsUrl: certs.url, clock, random: () => 0.5, log });
    acme = teams.verifierOf('acme');
  };
  afterEach(async () => {
    teams.destroy();
    await certs.close();
    expect(clock.pendingTimers).to.equal(0);
  });

  /** A token that nobody has seen, so that it has to be verified. */
  let nonce = 0;
  const tokenOf = (key: AccessKey, team = 'acme'): string =>
    key.token({
      iss: `https://${team}.cloudflareaccess.com`,
      aud: ['app'],
      exp: clock.now() / 1_000 + 3_600,
      nonce: nonce++,
    });
  const believes = async (key: AccessKey): Promise<boolean> =>
    typeof (await acme.verify(tokenOf(key))) !== 'string';

  it('are fetched once for any number of requests and tunnels, at the path of the team', async () => {
    await setUp(answersWith(certsOf(firstKey)));
    expect(teams.verifierOf('acme')).to.equal(acme);
    expect(await Promise.all([believes(firstKey), believes(firstKey)])).to.deep.equal([true, true]);
    expect(await believes(firstKey)).to.equal(true);
    expect(certs.asked).to.deep.equal(['/acme/cdn-cgi/access/certs']);
  });

  it('are each team’s own: a token of another is not believed', async () => {
    await setUp(answersWith(certsOf(firstKey)));
    expect(await acme.verify(tokenOf(firstKey, 'other'))).to.be.a('string');
    expect(await teams.verifierOf('other').verify(tokenOf(firstKey, 'other'))).to.not.be.a('string');
    expect(certs.asked).to.have.length(2);
  });

  it('make a verified token known, and no other', async () => {
    await setUp(answersWith(certsOf(firstKey)));
    const [good, bad] = [tokenOf(firstKey), tokenOf(secondKey)];
    expect(acme.known(good)).to.equal(null);
    await acme.verify(good);
    await acme.verify(bad);
    expect(acme.known(good)?.audiences).to.deep.equal(['app']);
    expect(acme.known(bad)).to.equal(null);
  });

  it('are renewed in the background before they get old', async () => {
    await setUp(answersWith(certsOf(firstKey)));
    await believes(firstKey);
    await clock.advance(refreshAfterMs);
    certs.answer = answersWith(certsOf(firstKey, secondKey));
    expect(await believes(firstKey)).to.equal(true);
    await eventually('the second fetch', () => certs.asked.length === 2);
    await eventually('its end', () => clock.pendingTimers === 0);
    await clock.advance(refreshAfterMs - 1);
    expect(await believes(secondKey)).to.equal(true);
    expect(certs.asked).to.have.length(2);
  });

  it('that were withdrawn are forgotten when they are renewed', async () => {
    await setUp(answersWith(certsOf(firstKey)));
    await believes(firstKey);
    certs.answer = answersWith(certsOf(secondKey));
    await clock.advance(maxAgeMs);
    expect(await believes(firstKey)).to.equal(false);
  });

  it('are fetched anew for a kid that is not among them: a rotation is noticed by the first token', async () => {
    await setUp(answersWith(certsOf(firstKey)));
    await believes(firstKey);
    certs.answer = answersWith(certsOf(firstKey, secondKey));
    await clock.advance(fetchBackoff.baseMs);
    expect(await Promise.all([believes(secondKey), believes(secondKey)])).to.deep.equal([true, true]);
    expect(certs.asked).to.have.length(2);
  });

  it('are fetched ever more seldom for invented kids', async () => {
    await setUp(answersWith(certsOf(firstKey)));
    const stranger = new AccessKey('invented');
    for (let second = 0; second < 300; second += 1) {
      expect(await believes(stranger)).to.equal(false);
      await clock.advance(1_000);
    }
    expect(certs.asked.length).to.be.within(10, 20);
    expect(await believes(firstKey)).to.equal(true);
  });

  for (const [title, answer, reason] of [
    ['is down', down, 'HTTP status 503, expected 200'],
    ['knows no such team', answersWith('{}', 404), 'HTTP status 404, expected 200'],
    ['answers garbage', answersWith('<html>'), 'not JSON'],
    ['answers with no key', answersWith('{"keys":[]}'), 'no RSA key with a kid'],
    ['answers without end', answersWith(' '.repeat(maxCertsBytes + 1)), `more than ${maxCertsBytes} bytes`],
    ['breaks off', (request) => request.socket.destroy(), 'other side closed'],
    [
      'sends us elsewhere',
      (_, response) => response.writeHead(302, { location: '/elsewhere' }).end(),
      'unexpected redirect',
    ],
  ] as readonly [string, RequestListener, string][]) {
    it(`that cannot be had because the endpoint ${title} admit nobody`, async () => {
      await setUp(answer);
      expect(await believes(firstKey)).to.equal(false);
      expect(logged).to.have.length(1);
      expect(logged[0]).to.include({ team: 'acme', reason, msg: 'access keys not fetched' });
      expect(certs.asked).to.have.length(1);
    });
  }

  it('are told of when they cannot be had, once, and when they can again', async () => {
    await setUp(down);
    const told: (string | null)[] = [];
    const toldLate: (string | null)[] = [];
    acme.onProblem((problem) => told.push(problem));
    await believes(firstKey);
    await clock.advance(fetchBackoff.baseMs);
    await believes(firstKey);
    const ignore = acme.onProblem((problem) => toldLate.push(problem));
    ignore();
    certs.answer = answersWith(certsOf(firstKey));
    await clock.advance(fetchBackoff.capMs);
    expect(await believes(firstKey)).to.equal(true);
    expect(told).to.deep.equal(['HTTP status 503, expected 200', null]);
    expect(toldLate).to.deep.equal(['HTTP status 503, expected 200']);
  });

  it('admit somebody as soon as the endpoint is back', async () => {
    await setUp(down);
    expect(await believes(firstKey)).to.equal(false);
    certs.answer = answersWith(certsOf(firstKey));
    expect(await believes(firstKey), 'at once').to.equal(false);
    expect(certs.asked).to.have.length(1);
    await clock.advance(fetchBackoff.baseMs);
    expect(await believes(firstKey), 'a second later').to.equal(true);
  });

  it('that come too slowly admit nobody', async () => {
    await setUp((_, response) => void response.write('{'));
    const asked = believes(firstKey);
    await eventually('the fetch', () => certs.asked.length === 1);
    await clock.advance(fetchTimeoutMs);
    expect(await asked).to.equal(false);
    expect(logged[0]?.reason).to.equal(`no answer within ${fetchTimeoutMs} ms`);
  });

  it('go on while the endpoint is away, and not longer than that they may', async () => {
    await setUp(answersWith(certsOf(firstKey)));
    await believes(firstKey);
    certs.answer = down;
    for (let hour = 1; hour * 3_600_000 < maxAgeWhileAwayMs; hour += 1) {
      await clock.advance(3_600_000);
      expect(await believes(firstKey), `after ${hour} h`).to.equal(true);
    }
    await clock.advance(3_600_000);
    expect(await believes(firstKey), 'after all').to.equal(false);
    certs.answer = answersWith(certsOf(firstKey));
    await clock.advance(fetchBackoff.capMs);
    expect(await believes(firstKey), 'when it is back').to.equal(true);
  });

  it('that are old make no request wait for an endpoint that was away just before', async () => {
    await setUp(answersWith(certsOf(firstKey)));
    await believes(firstKey);
    await clock.advance(maxAgeMs);
    certs.answer = down;
    expect(await believes(firstKey)).to.equal(true);
    certs.answer = () => {};
    await clock.advance(fetchBackoff.capMs);
    expect(await believes(firstKey)).to.equal(true);
    await eventually('the fetch without an answer', () => certs.asked.length === 3);
    await clock.advance(fetchTimeoutMs);
    await eventually('its end', () => logged.length === 2);
  });

  it('are not waited for any more when the tunnel ends', async () => {
    await setUp(() => {});
    const asked = believes(firstKey);
    await eventually('the fetch', () => certs.asked.length === 1);
    teams.destroy();
    teams.destroy();
    expect(await asked).to.equal(false);
    expect(await believes(firstKey)).to.equal(false);
    expect(certs.asked).to.have.length(1);
    expect(logged).to.deep.equal([]);
  });
});

describe('the keys of an Access team in a process that may open no further file', () => {
  it('cannot be read, which is a problem like any other: what reads them is loaded with the first', async () => {
    const script = fileURLToPath(new URL('../../support/keys-out-of-files.js', import.meta.url));
    const limited = spawn('sh', ['-c', 'ulimit -n 64 && exec "$0" "$1"', process.execPath, script], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    limited.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const [code] = (await once(limited, 'close')) as [number];
    expect([code, said === '' ? null : JSON.parse(said)]).to.deep.equal([
      0,
      { problem: 'what reads keys cannot be loaded: EMFILE', verified: 'there are no keys of the team' },
    ]);
  });
});
