import { once } from 'node:events';
import { expect } from 'chai';
import { maxHeldRequests, maxTokenLength } from '../../src/tunnel/access/access-guard.ts';
import { createAccessTeams } from '../../src/tunnel/access/access-teams.ts';
import { AccessKey, certsOf } from '../support/access-key.ts';
import { answersWith, CertsServer } from '../support/certs-server.ts';
import { answerOf, ask, openStream } from '../support/edge-request.ts';
import { eventually } from '../support/eventually.ts';
import { keptLog } from '../support/kept-log.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type Proxied, proxied } from '../support/proxied.ts';
import { tableTo } from '../support/route-to.ts';
import type { OriginScript } from '../support/scripted-origin.ts';

const key = new AccessKey('one');
const header = 'cf-access-jwt-assertion';
const policy = { team: 'acme', audience: ['app-1', 'app-2'] };
const windowBytes = 1_048_576;
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('the proxy admits by Access', () => {
  let clock: ManualClock;
  let certs: CertsServer;
  let here: Proxied;
  let script: OriginScript;

  beforeEach(async () => {
    clock = new ManualClock();
    certs = await CertsServer.start(answersWith(certsOf(key)));
    const teams = createAccessTeams({ certsUrl: certs.url, clock, random: () => 0.5, log: keptLog().log });
    script = ({ socket }) => socket.write(ok);
    here = await proxied((connection, head) => script(connection, head), {
      clock,
      teams,
      routes: (port) => ({ ...tableTo([port]), access: policy }),
    });
  });
  afterEach(async () => {
    await here.stop();
    await certs.close();
  });

  const claims = () => ({
    iss: 'https://acme.cloudflareaccess.com',
    aud: ['other', 'app-2'],
    exp: clock.now() / 1_000 + 60,
  });
  const warmed = () => eventually('the keys', () => certs.asked.length === 1 && clock.pendingTimers === 0);
  /** Asks for `/` with this header; the origin's connections tell whether it got there. */
  const statusWith = async (token: string | string[]): Promise<number> =>
    (await ask(here.edge, '/', { [header]: token })).status;

  function expectRefusal(answer: { headers: object; body: Buffer }, meta: string): void {
    expect(answer.headers).to.have.property('cf-cloudflared-response-meta', meta);
    expect(answer.body.length).to.equal(0);
    expect(here.origin.connections).to.have.length(0);
    expect(here.proxy.openRequests).to.equal(0);
  }

  it('a request with a valid token, and lets the origin see it', async () => {
    const token = key.token(claims());
    expect(await statusWith(token)).to.equal(200);
    expect(await statusWith(token)).to.equal(200);
    expect(here.origin.connections[0]?.received).to.contain(`Cf-Access-Jwt-Assertion: ${token}\r\n`);
    expect(here.counted()?.requests).to.deep.equal([0, 0, 2, 0, 0, 0]);
    expect(certs.asked).to.have.length(1);
  });

  for (const [title, headers] of [
    ['without a token', {}],
    ['with an empty one', { [header]: '' }],
    ['with a token in the cookie only', { cookie: 'CF_Authorization=x' }],
    ['with one that is too long', { [header]: 'x'.repeat(maxTokenLength + 1) }],
  ] as const) {
    it(`no request ${title}: 403 by rule`, async () => {
      const answer = await ask(here.edge, '/', headers);
      expect(answer.status).to.equal(403);
      expect(answer.originHeaders).to.deep.equal([]);
      expectRefusal(answer, '{"src":"origin"}');
      expect(here.counted()?.requests).to.deep.equal([0, 0, 0, 0, 1, 0]);
    });
  }

  it('no request with two tokens, even if both are valid', async () => {
    const token = key.token(claims());
    const answer = await ask(here.edge, '/', { [header]: [token, token] });
    expect(answer.status).to.equal(403);
    expectRefusal(answer, '{"src":"origin"}');
  });

  it('nobody by a token for another application, known or not: 403 by rule', async () => {
    const token = key.token({ ...claims(), aud: ['app-3'] });
    for (let i = 0; i < 2; i += 1) {
      const answer = await ask(here.edge, '/', { [header]: token });
      expect(answer.status).to.equal(403);
      expectRefusal(answer, '{"src":"origin"}');
    }
  });

  for (const [title, token] of [
    ['a token that has expired', () => key.token({ ...claims(), exp: clock.now() / 1_000 - 1 })],
    ['a token of another team', () => key.token({ ...claims(), iss: 'https://other.cloudflareaccess.com' })],
    ['an unsigned token', () => key.unsignedToken(claims())],
    ['a token signed with the public key', () => key.confusedToken(claims())],
    ['a token of a key that nobody knows', () => new AccessKey('x').token(claims())],
    ['garbage', () => 'garbage'],
  ] as const) {
    it(`nobody by ${title}: 502 of our own`, async () => {
      const answer = await ask(here.edge, '/', { [header]: token() });
      expect(answer.status).to.equal(502);
      expectRefusal(answer, '{"src":"cloudflared"}');
      const counts = here.counted();
      expect(counts?.requests).to.deep.equal([0, 0, 0, 0, 0, 1]);
      expect(counts?.originErrors).to.deep.equal({});
    });
  }

  it('nobody when the keys cannot be had, and says so once', async () => {
    await warmed();
    certs.answer = answersWith('', 500);
    here.proxy.updateRoutes({ ...tableTo([here.origin.port]), access: { ...policy, team: 'away' } });
    const token = key.token({ ...claims(), iss: 'https://away.cloudflareaccess.com' });
    for (let i = 0; i < 2; i += 1) {
      const answer = await ask(here.edge, '/', { [header]: token });
      expect(answer.status).to.equal(502);
      expectRefusal(answer, '{"src":"cloudflared"}');
    }
    expect(certs.asked).to.have.length(2);
    expect(here.counted()?.originErrors).to.deep.equal({ access: 2 });
  });

  it('nobody by a known token once it has expired', async () => {
    const token = key.token(claims());
    expect(await statusWith(token)).to.equal(200);
    await clock.advance(60_000);
    expect(await statusWith(token)).to.equal(502);
    expect(here.origin.connections[0]?.requests).to.equal(1);
  });

  it('before it says anything of hosts and paths', async () => {
    here.proxy.updateRoutes({ host: 'app.example.com', routes: [], access: policy });
    expect((await ask(here.edge, '/nothing')).status).to.equal(403);
    expect((await ask(here.edge, '/', { ':authority': 'other.example.com' })).status).to.equal(403);
    expect(await statusWith(key.token(claims()))).to.equal(404);
  });

  it('by new routes from the next request on, and not at all when they ask for nothing', async () => {
    const token = key.token(claims());
    expect(await statusWith(token)).to.equal(200);
    const open = tableTo([here.origin.port]);
    here.proxy.updateRoutes({ ...open, access: { ...policy, audience: ['app-1'] } });
    expect(await statusWith(token)).to.equal(403);
    here.proxy.updateRoutes(open);
    expect((await ask(here.edge, '/')).status).to.equal(200);
    here.proxy.updateRoutes({ ...open, access: policy });
    expect((await ask(here.edge, '/')).status).to.equal(403);
    expect(await statusWith(token)).to.equal(200);
    expect(certs.asked).to.have.length(1);
  });

  it('WebSockets as well', async () => {
    script = () => {};
    const upgrade = { 'cf-cloudflared-proxy-connection-upgrade': 'websocket', 'sec-websocket-key': 'x' };
    const refused = openStream(here.edge, '/ws', upgrade);
    expect((await answerOf(refused)).status).to.equal(403);
    expect(here.origin.connections).to.have.length(0);
    const admitted = openStream(here.edge, '/ws', { ...upgrade, [header]: key.token(claims()) });
    await eventually('the handshake at the origin', () => here.origin.connections[0]?.requests === 1);
    expect(here.origin.connections[0]?.received).to.contain('Upgrade: websocket');
    admitted.close();
    await once(admitted, 'close');
  });

  describe('and meanwhile', () => {
    let release: () => void;
    const slow = async (): Promise<void> => {
      await warmed();
      const gate = Promise.withResolvers<void>();
      release = gate.resolve;
      certs.answer = (request, response) =>
        void gate.promise.then(() => answersWith(certsOf(key))(request, response));
      here.proxy.updateRoutes({ ...tableTo([here.origin.port]), access: { ...policy, team: 'slow' } });
    };
    /** Opens a stream of which is recorded what is done to it: statuses, pauses and resumptions. */
    const openRecorded = (token: string, told: (number | string)[]) =>
      here.proxy.open(
        {
          id: 1,
          takes: () => true,
          respond: (status) => void told.push(status),
          write: () => true,
          end: () => {},
          reset: () => {},
          pause: () => void told.push('pause'),
          resume: () => void told.push('resume'),
        },
        {
          ...{ method: 'GET', path: '/', scheme: 'https', authority: 'app.example.com' },
          headers: [header, token],
          ended: true,
        },
      );
    const slowToken = () => key.token({ ...claims(), iss: 'https://slow.cloudflareaccess.com' });

    for (const chunkedEncoding of [true, false]) {
      const origin = chunkedEncoding ? 'an origin' : 'an origin that takes no chunks';
      it(`holds one window of a body until the verdict, then passes on every byte to ${origin}`, async () => {
        await slow();
        const table = tableTo([here.origin.port], { chunkedEncoding });
        here.proxy.updateRoutes({ ...table, access: { ...policy, team: 'slow' } });
        const body = Buffer.alloc(3 * windowBytes, 'x');
        script = (connection, head) =>
          connection.socket.on('data', () => {
            if (connection.receivedBytes === head.length + body.length) connection.socket.write(ok);
          });
        const length = chunkedEncoding ? { 'content-length': String(body.length) } : {};
        const headers = { ':method': 'POST', [header]: slowToken(), ...length };
        const upload = openStream(here.edge, '/', headers);
        upload.end(body);
        const answer = answerOf(upload);
        const sentBytes = () => here.edge.socket.bytesWritten ?? 0;
        await eventually('the window to be used up', () => sentBytes() > windowBytes);
        for (let i = 0; i < 3; i += 1) await new Promise((resolve) => here.edge.ping(resolve));
        expect(sentBytes()).to.be.below(windowBytes + 65_536);
        expect(here.origin.connections).to.have.length(0);
        release();
        expect((await answer).status).to.equal(200);
      });
    }

    it('asks a refused upload to stop', async () => {
      await slow();
      const headers = { ':method': 'POST', [header]: 'garbage' };
      const upload = openStream(here.edge, '/', headers);
      upload.write('x');
      const answer = answerOf(upload);
      await eventually('it to be held', () => here.proxy.openRequests === 1);
      release();
      expect((await answer).status).to.equal(502);
      expect(here.origin.connections).to.have.length(0);
    });

    it('forgets a request that the edge gives up', async () => {
      await slow();
      const upload = openStream(here.edge, '/', { ':method': 'POST', [header]: slowToken() });
      upload.on('error', () => {});
      await eventually('it to be held', () => here.proxy.openRequests === 1);
      upload.close(8);
      await eventually('it to be gone', () => here.proxy.openRequests === 0);
      release();
      expect(await statusWith(slowToken())).to.equal(200);
      expect(here.origin.connections.map(({ requests }) => requests)).to.deep.equal([1]);
      expect(here.counted()?.requests).to.deep.equal([1, 0, 1, 0, 0, 0]);
    });

    it('judges a held request again when the policy has changed', async () => {
      await slow();
      const asked = ask(here.edge, '/', { [header]: slowToken() });
      await eventually('it to be held', () => here.proxy.openRequests === 1);
      const access = { team: 'slow', audience: ['app-3'] };
      here.proxy.updateRoutes({ ...tableTo([here.origin.port]), access });
      release();
      expect((await asked).status).to.equal(403);
      expect(here.origin.connections).to.have.length(0);
    });

    it('leaves a request paused that is to wait for other keys behind these', async () => {
      await slow();
      const told: (number | string)[] = [];
      openRecorded(slowToken(), told);
      here.proxy.updateRoutes({ ...tableTo([here.origin.port]), access: { ...policy, team: 'slower' } });
      release();
      await eventually('its verdict', () => told.includes(502));
      expect(told).to.deep.equal(['pause', 'resume', 'pause', 502]);
    });

    it('holds no more than its limit', async () => {
      await slow();
      const token = slowToken();
      const told: (number | string)[] = [];
      const held = Array.from({ length: maxHeldRequests }, () => openRecorded(token, []));
      openRecorded(token, told);
      expect(told).to.deep.equal([502]);
      for (const handler of held) handler.reset(8);
      expect(here.proxy.openRequests).to.equal(0);
      release();
      expect(await statusWith(token)).to.equal(200);
    });
  });
});
