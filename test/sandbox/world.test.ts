import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { expect } from 'chai';
import { startWorld, type World } from '../../src/sandbox/world.ts';
import { eventually } from '../support/eventually.ts';
import { visit } from '../support/eyeball.ts';
import { ScriptedConnector } from '../support/scripted-connector.ts';

const host = 'app.example.com';

describe('sandbox world', () => {
  let world: World;
  beforeEach(async () => {
    world = await startWorld();
  });
  afterEach(() => world.stop());

  /** A call to the Cloudflare API with the account's token. */
  async function call(
    method: string,
    path: string,
    body?: object,
  ): Promise<{ result: Record<string, string> }> {
    const { url, token } = world.cloudflare;
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return (await response.json()) as { result: Record<string, string> };
  }

  async function tunnelAtHost(): Promise<{ path: string; id: string; secret: Buffer }> {
    const secret = Buffer.alloc(32, 5);
    const { accountId, zones } = world.cloudflare;
    const { result } = await call('POST', `/accounts/${accountId}/cfd_tunnel`, {
      name: 'one',
      tunnel_secret: secret.toString('base64'),
    });
    const id = result.id!;
    const record = { type: 'CNAME', name: host, content: `${id}.cfargotunnel.com`, proxied: true, ttl: 1 };
    await call('POST', `/zones/${zones.zones[0]!.id}/dns_records`, record);
    return { path: `/accounts/${accountId}/cfd_tunnel/${id}`, id, secret };
  }

  it('ties the edge to the API: secrets, names, connections, deletion', async () => {
    const { path, id, secret } = await tunnelAtHost();
    const connector = await ScriptedConnector.dial({
      tunnelAddress: world.edge.tunnelAddress,
      caPem: await readFile(world.files.edgeCa, 'utf8'),
      accountTag: world.cloudflare.accountId,
      tunnelId: id,
      tunnelSecret: secret,
      answer: (stream) => {
        stream.respond({ ':status': 200, 'cf-cloudflared-response-headers': '' });
        stream.end('from the connector');
      },
    });
    expect((await visit(world.edge.frontUrl, { host })).status).to.equal(530);
    expect((await connector.register()).kind).to.equal('registered');
    expect((await visit(world.edge.frontUrl, { host })).body).to.equal('from the connector');
    const { result } = await call('GET', `${path}/connections`);
    expect(JSON.stringify(result)).to.contain('"version":"scripted"').and.to.contain('"colo_name":"sbx01"');

    await call('DELETE', `${path}?cascade=true`);
    await connector.closed();
    await eventually('no connection is left', () => world.edge.connections().length === 0);
    connector.destroy();
  });

  it('leads a cluster IP to the sample application, also after that was away', async () => {
    const { origin } = world;
    await origin.down();
    expect(await canConnect(origin.port)).to.equal(false);
    await Promise.all([origin.up(), origin.down(), origin.up()]);
    expect(origin.isUp).to.equal(true);
    expect(await (await fetch(origin.url)).text()).to.contain('sample application');
  });

  it('writes files that only this user reads, with what programs need', async () => {
    const { files, kubernetes, cloudflare } = world;
    expect(await readFile(files.kubeconfig, 'utf8')).to.contain(kubernetes.url);
    const pem = await readFile(files.originCert, 'utf8');
    const content = JSON.parse(Buffer.from(pem.replaceAll(/-----.*-----/g, ''), 'base64').toString('utf8'));
    expect(content).to.include({ accountID: cloudflare.accountId, apiToken: cloudflare.token });
    for (const path of [files.kubeconfig, files.originCert]) {
      expect((await stat(path)).mode & 0o077).to.equal(0);
    }
    expect((await stat(files.directory)).mode & 0o077).to.equal(0);
  });

  it('leaves nothing when it stops, however often it is asked to', async () => {
    const { kubernetes, cloudflare, edge, origin, files } = world;
    const ports = [
      kubernetes.url,
      cloudflare.url,
      `tcp://${edge.tunnelAddress}`,
      edge.frontUrl,
      origin.url,
    ].map((url) => Number(new URL(url).port));
    for (const port of ports) expect(await canConnect(port), `port ${port}`).to.equal(true);
    await Promise.all([world.stop(), world.stop()]);
    for (const port of ports) expect(await canConnect(port), `port ${port}`).to.equal(false);
    expect(existsSync(files.directory)).to.equal(false);
  });

  it('ends everything else when one part cannot be ended, and says so', async () => {
    const { kubernetes, edge, origin, files } = world;
    const { down } = origin;
    Object.assign(origin, { down: () => Promise.reject(new Error('stuck')) });
    const outcome = await world.stop().catch((error: Error) => error.message);
    await down();
    expect(outcome).to.equal('stuck');
    for (const url of [kubernetes.url, edge.frontUrl]) {
      expect(await canConnect(Number(new URL(url).port)), url).to.equal(false);
    }
    expect(existsSync(files.directory)).to.equal(false);
    // For the hook: what had to be ended is.
    world = await startWorld();
  });

  it('ends what it had started when it cannot go on', async () => {
    const taken = Number(new URL(world.edge.frontUrl).port);
    const outcome = await startWorld({ ports: { front: taken } }).then(
      () => 'started',
      (error: NodeJS.ErrnoException) => error.code,
    );
    expect(outcome).to.equal('EADDRINUSE');
  });
});

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
