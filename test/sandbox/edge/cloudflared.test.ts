import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { type SandboxOrigin, startOrigin } from '../../../src/sandbox/origin.ts';
import { EdgeStage, stageTunnel } from '../../support/edge-stage.ts';
import { begin, type EyeballRequest, visit } from '../../support/eyeball.ts';

const cloudflared = process.env.CLOUDFLARED;
const { host, accountTag, tunnelId, tunnelSecret } = stageTunnel;
/** cloudflared's own timers: a first retry may take 22 s (protocol page section 12.3). */
const patienceMs = 60_000;

/** With `CLOUDFLARED=/path/to/cloudflared`: the real connector at our edge. */
if (cloudflared !== undefined) {
  describe('sandbox edge: the real cloudflared', function () {
    this.timeout(patienceMs * 2);
    let stage: EdgeStage;
    let origin: SandboxOrigin;
    let home: string;
    let child: ChildProcess;
    let log = '';

    before(async () => {
      stage = await EdgeStage.open();
      origin = await startOrigin();
      home = await mkdtemp(join(tmpdir(), 'cloudflared-'));
      await writeFile(join(home, 'ca.pem'), stage.edge.caPem);
      child = run();
      await until('two connections', () => serving() === 2);
    });
    after(async () => {
      if (child.exitCode === null) {
        child.kill('SIGKILL');
        await once(child, 'close');
      }
      await stage.close();
      await origin.stop();
      await rm(home, { recursive: true });
    });

    function run(): ChildProcess {
      const content = { a: accountTag, t: tunnelId, s: tunnelSecret.toString('base64') };
      const token = Buffer.from(JSON.stringify(content)).toString('base64');
      const words = [
        ...['tunnel', '--no-autoupdate', '--no-prechecks', '--protocol', 'http2', '--metrics', '127.0.0.1:0'],
        ...['--edge', stage.edge.tunnelAddress, '--edge', stage.edge.tunnelAddress],
        ...['--cacert', join(home, 'ca.pem'), 'run', '--url', origin.url],
      ];
      const started = spawn(cloudflared!, words, { env: { HOME: home, TUNNEL_TOKEN: token } });
      started.stderr.setEncoding('utf8').on('data', (text: string) => {
        log += text;
      });
      return started;
    }

    const serving = (): number => stage.edge.connections().filter(({ state }) => state === 'serving').length;
    const get = (request: Omit<EyeballRequest, 'host'>) => visit(stage.edge.frontUrl, { host, ...request });

    async function until(what: string, look: () => boolean): Promise<void> {
      const untilMs = performance.now() + patienceMs;
      while (!look()) {
        if (performance.now() > untilMs)
          throw new Error(`did not happen: ${what}; cloudflared said:\n${log}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }

    it('registers, and says what it serves', () => {
      const configurations = stage.edge.connections().map(({ localConfiguration }) => localConfiguration);
      expect(configurations.join('')).to.contain(origin.url);
      expect(log).to.contain('Registered tunnel connection');
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

    it('takes a configuration and refuses a broken one', async () => {
      const [taken] = await stage.edge.pushConfiguration(tunnelId, 1, {
        ingress: [{ service: 'http_status:418' }],
      });
      expect(JSON.parse(taken?.body ?? '')).to.deep.equal({ lastAppliedVersion: 1, err: null });
      expect((await get({})).status).to.equal(418);
      const [refused] = await stage.edge.pushConfiguration(tunnelId, 2, {
        ingress: [{ service: 'nonsense' }],
      });
      expect(JSON.parse(refused?.body ?? '')).to.include({ lastAppliedVersion: 1 });
      await stage.edge.pushConfiguration(tunnelId, 3, { ingress: [{ service: origin.url }] });
      expect((await get({})).status).to.equal(200);
    });

    it('comes back after its connections were cut', async () => {
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
      const closed = once(child, 'close');
      child.kill('SIGTERM');
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
      child = run();
      await until('a connection', () => serving() > 0);
      expect(log).to.contain('Unauthorized: not yet');
    });
  });
}
