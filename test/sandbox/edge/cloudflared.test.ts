import { once } from 'node:events';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { createAuthority } from '../../../src/sandbox/certificates.ts';
import { type SandboxOrigin, startOrigin } from '../../../src/sandbox/origin.ts';
import { EdgeStage, stageTunnel } from '../../support/edge-stage.ts';
import { eventually } from '../../support/eventually.ts';
import { begin, type EyeballRequest, visit } from '../../support/eyeball.ts';
import { scriptHttp2 } from '../../support/http2-origin.ts';
import { cloudflaredPath, RealCloudflared } from '../../support/real-cloudflared.ts';
import { scriptTcp } from '../../support/tcp-origin.ts';

const { host, accountTag, tunnelId, tunnelSecret } = stageTunnel;
/** cloudflared's own timers: a first retry may take 22 s (protocol page section 12.3). */
const patienceMs = 60_000;

/** With `CLOUDFLARED=/path/to/cloudflared`: the real connector at our edge. */
if (cloudflaredPath !== undefined) {
  describe('sandbox edge: the real cloudflared', function () {
    this.timeout(patienceMs * 2);
    let stage: EdgeStage;
    let origin: SandboxOrigin;
    let cloudflared: RealCloudflared;

    before(async () => {
      stage = await EdgeStage.open();
      origin = await startOrigin();
      cloudflared = await run();
      await until('two connections', () => serving() === 2);
    });
    after(async () => {
      await cloudflared.stop();
      await stage.close();
      await origin.stop();
    });

    const run = () =>
      RealCloudflared.start({ edge: stage.edge, accountTag, tunnelId, tunnelSecret, url: origin.url });
    const serving = (): number => stage.edge.connections().filter(({ state }) => state === 'serving').length;
    const get = (request: Omit<EyeballRequest, 'host'>) => visit(stage.edge.frontUrl, { host, ...request });

    async function until(what: string, look: () => boolean): Promise<void> {
      const told = (): string => `cloudflared said:\n${cloudflared.log}`;
      await eventually(what, look, { withinMs: patienceMs, everyMs: 50, told });
    }

    let version = 0;
    const configure = (rule: object) => {
      version += 1;
      return stage.edge.pushConfiguration(tunnelId, version, { ingress: [rule] });
    };

    it('registers, and says what it serves', () => {
      const configurations = stage.edge.connections().map(({ localConfiguration }) => localConfiguration);
      expect(configurations.join('')).to.contain(origin.url);
      expect(cloudflared.log).to.contain('Registered tunnel connection');
    });

    it('serves GET, POST and HEAD', async () => {
      expect((await get({ path: '/hello?x=1' })).body).to.contain('path: /hello?x=1');
      const posted = await get({ method: 'POST', path: '/echo', body: Readable.from(['a', 'b', 'c']) });
      expect(posted.body).to.equal('abc');
      expect(posted.headers['x-echo-method']).to.equal('POST');
      expect(await get({ method: 'HEAD' })).to.include({ status: 200, body: '' });
      expect((await get({ path: '/status?code=204' })).status).to.equal(204);
    });

    it('carries trailers, events, and large bodies both ways', async () => {
      const trailing = await get({ path: '/trailers' });
      expect(Object.keys(trailing.trailers)).to.not.deep.equal([]);
      const events = await begin(stage.edge.frontUrl, { host, path: '/sse' });
      expect(events.headers['content-type']).to.contain('text/event-stream');
      await once(events, 'data');
      events.destroy();
      const piece = Buffer.alloc(1 << 20, 'x');
      const upload = Readable.from(Array.from({ length: 32 }, () => piece));
      expect((await get({ method: 'PUT', path: '/echo', body: upload })).body).to.have.length(32 << 20);
    });

    it('carries a WebSocket', async () => {
      const socket = new WebSocket(`${stage.edge.frontUrl.replace('http', 'ws')}/ws`, { headers: { host } });
      await once(socket, 'open');
      const large = Buffer.alloc(1 << 20, 7);
      socket.send(large);
      const [message] = (await once(socket, 'message')) as [Buffer];
      expect(message.equals(large)).to.equal(true);
      socket.close(4001, 'bye');
      expect((await once(socket, 'close'))[0]).to.equal(4001);
    });

    it('reaches a tcp origin, to which messages of up to 16 KiB come whole', async () => {
      const tcp = await scriptTcp();
      expect(await configure({ service: `tcp://127.0.0.1:${tcp.port}` })).to.have.length(1);
      const socket = new WebSocket(stage.edge.frontUrl.replace('http', 'ws'), { headers: { host } });
      await once(socket, 'open');
      await until('it is reached', () => tcp.sockets.length === 1);
      tcp.echo(0);
      const message = Buffer.alloc(16 << 10, 'tcp');
      let came = 0;
      socket.on('message', (data: Buffer) => (came += data.length));
      for (let sent = 0; sent < 64; sent += 1) socket.send(message);
      await until('all of it is back', () => came === 64 * message.length);
      socket.close();
      await until('it is let go', () => tcp.closed(0));
      await tcp.stop();
      await configure({ service: origin.url });
    });

    it('carries gRPC to an https origin that speaks HTTP/2', async () => {
      const tls = createAuthority('origins').issue({ dnsNames: ['app.example.com'] });
      const grpc = await scriptHttp2(
        (stream) => {
          stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
          stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
          stream.pipe(stream);
        },
        { tls },
      );
      const originRequest = { http2Origin: true, noTLSVerify: true };
      await configure({ service: `https://127.0.0.1:${grpc.port}`, originRequest });
      const headers = { 'content-type': 'application/grpc', te: 'trailers' };
      const answer = await get({
        method: 'POST',
        path: '/say',
        headers,
        body: Readable.from(['one', 'two']),
      });
      expect(answer.body).to.equal('onetwo');
      expect(answer.trailers).to.deep.equal({ 'grpc-status': '0' });
      expect(grpc.heads[0]?.[':path']).to.equal('/say');
      await configure({ service: origin.url });
      await grpc.stop();
    });

    it('serves on through a GOAWAY and a half-open connection, by the other one', async () => {
      const [first] = stage.edge.connections();
      stage.edge.faults.silence({ tunnelId, connIndex: first!.connIndex });
      await until('the edge has left it', () => serving() === 1);
      expect((await get({})).status).to.equal(200);
      stage.edge.faults.restore();
      await until('two connections again', () => serving() === 2);
      stage.edge.faults.goaway({ tunnelId, connIndex: first!.connIndex });
      expect((await get({})).status).to.equal(200);
      await until('two connections again', () => serving() === 2);
    });

    it('takes a configuration and refuses a broken one', async () => {
      const [taken] = await configure({ service: 'http_status:418' });
      const lastAppliedVersion = version;
      expect(JSON.parse(taken?.body ?? '')).to.deep.equal({ lastAppliedVersion, err: null });
      expect((await get({})).status).to.equal(418);
      const [refused] = await configure({ service: 'nonsense' });
      expect(JSON.parse(refused?.body ?? '')).to.include({ lastAppliedVersion });
      await configure({ service: origin.url });
      expect((await get({})).status).to.equal(200);
    });

    it('comes back after its connections were cut', async () => {
      // A new one: the more connections one has lost, the longer it waits, beyond our patience.
      await cloudflared.stop();
      cloudflared = await run();
      await until('two connections', () => serving() === 2);
      stage.edge.faults.cut({ tunnelId });
      await until('no connection', () => serving() === 0);
      await until('two connections again', () => serving() === 2);
      expect((await get({})).status).to.equal(200);
    });

    it('lets a running request end when it is told to stop, and exits at once after it', async () => {
      const running = get({ path: '/slow?delay=1500' });
      await until('a running request', () =>
        stage.edge.connections().some(({ openStreams }) => openStreams > 0),
      );
      const closed = once(cloudflared.child, 'close');
      cloudflared.child.kill('SIGTERM');
      await until('it has unregistered', () => serving() === 0);
      expect((await get({})).status).to.equal(530);
      expect((await running).status).to.equal(200);
      const endedMs = performance.now();
      expect((await closed)[0]).to.equal(0);
      // Its grace period is 30 s; it waits no longer than for the edge to close.
      expect(performance.now() - endedMs).to.be.below(5_000);
    });

    it('goes on asking when its secret is refused, and serves when it is not any more', async () => {
      stage.edge.faults.refuse({
        tunnelId,
        cause: 'Unauthorized: not yet',
        shouldRetry: true,
        retryAfterMs: 0,
        count: 1,
      });
      await cloudflared.stop();
      cloudflared = await run();
      await until('a connection', () => serving() > 0);
      expect(cloudflared.log).to.contain('Unauthorized: not yet');
    });
  });
}
