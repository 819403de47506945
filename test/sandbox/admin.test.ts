import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { type Admin, startAdmin } from '../../src/sandbox/admin.ts';
import { ControllerProcess, type ControllerView } from '../../src/sandbox/controller-process.ts';
import { startWorld, type World } from '../../src/sandbox/world.ts';
import { eventually } from '../support/eventually.ts';

const script = fileURLToPath(new URL('../support/threaded-process.js', import.meta.url));

interface State {
  readonly cloudflare: { readonly tunnels: readonly { readonly name: string }[] };
  readonly edge: { readonly tunnel: string };
}

describe('sandbox admin port', () => {
  let world: World;
  let controller: ControllerProcess;
  let admin: Admin;
  const lines: string[] = [];

  before(async () => {
    world = await startWorld();
    controller = new ControllerProcess({
      command: [script],
      onLine: (line) => lines.push(line),
      onNews: () => {},
    });
    admin = await startAdmin({ port: 0, world, controller });
  });
  after(async () => {
    await controller.stop();
    await admin.stop();
    await world.stop();
  });

  /** The body of a refusal, unless the test knows better. */
  async function ask<T = { readonly error: string }>(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: T }> {
    const sent = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) };
    const response = await fetch(admin.url + path, { method, ...sent });
    return { status: response.status, body: (await response.json()) as T };
  }

  it('lists what it can do', async () => {
    const { body } = await ask<Record<string, string>[]>('GET', '/');
    expect(body.map(({ method, path }) => `${method} ${path}`)).to.include.members([
      'GET /state',
      'POST /faults',
      'POST /threads/{n}/{fault}',
      'POST /controller/kill',
    ]);
  });

  it('shows the state, and no secret in it', async () => {
    const { accountId, token, tunnels } = world.cloudflare;
    const secret = Buffer.alloc(32, 6);
    tunnels.create({ accountId, name: 'shown', secret, configSrc: 'local' });
    const { body } = await ask<State>('GET', '/state');
    expect(body.cloudflare.tunnels[0]?.name).to.equal('shown');
    expect(body.edge.tunnel).to.equal(world.edge.tunnelAddress);
    const text = JSON.stringify(body);
    for (const kept of [token, world.kubernetes.token, secret.toString('base64'), secret.toString('hex')]) {
      expect(text).to.not.contain(kept);
    }
  });

  it('sets faults of all four, and clears them', async () => {
    const set = await ask('POST', '/faults', {
      kubernetes: { requests: [{ resource: 'services', verb: 'list', fail: { code: 500 } }] },
      cloudflare: { failNext: { status: 503, path: '/zones' } },
      edge: { newConnections: 'reset', refuse: { cause: 'Unauthorized: not today' } },
      origin: { down: true },
    });
    expect(set.status).to.equal(200);
    const zones = () =>
      fetch(`${world.cloudflare.url}/zones`, {
        headers: { authorization: `Bearer ${world.cloudflare.token}` },
      });
    expect((await zones()).status).to.equal(503);
    expect((await zones()).status).to.equal(200);
    expect(world.origin.isUp).to.equal(false);
    expect(world.edge.faults.newConnections).to.equal('reset');
    expect(world.edge.faults.refusalFor('any')?.cause).to.equal('Unauthorized: not today');

    expect((await ask('DELETE', '/faults')).status).to.equal(200);
    expect(world.origin.isUp).to.equal(true);
    expect(world.edge.faults.newConnections).to.equal('accept');
    expect(world.edge.faults.refusalFor('any')).to.equal(null);
  });

  const refused: { title: string; body: unknown; status: number; says: string }[] = [
    { title: 'what is no JSON', body: '{', status: 400, says: 'not JSON' },
    { title: 'a name that is not known', body: { edgy: {} }, status: 400, says: 'edgy' },
    { title: 'a value of the wrong kind', body: { edge: { cut: 'all' } }, status: 400, says: 'edge.cut' },
    {
      title: 'two faults for one request',
      body: { kubernetes: { requests: [{ cut: true, hang: true }] } },
      status: 400,
      says: 'expected one of fail, hang, cut, delayMs',
    },
    {
      title: 'a host that no tunnel serves',
      body: { edge: { newConnections: 'reset', cut: { host: 'no.example.com' } } },
      status: 404,
      says: 'no tunnel serves no.example.com',
    },
  ];
  for (const { title, body, status, says } of refused) {
    it(`refuses ${title}, and changes nothing`, async () => {
      const answer = await ask('POST', '/faults', body);
      expect(answer.status).to.equal(status);
      expect(answer.body.error).to.contain(says);
      expect(world.edge.faults.newConnections).to.equal('accept');
    });
  }

  it('adds a zone, once', async () => {
    for (let round = 0; round < 2; round++) await ask('POST', '/zones', { name: 'foo.com' });
    expect(world.cloudflare.zones.zones.filter(({ name }) => name === 'foo.com')).to.have.length(1);
    expect((await ask('POST', '/zones', { name: 'foo' })).status).to.equal(400);
  });

  it('says what is not there, and what is', async () => {
    expect((await ask('GET', '/nothing')).status).to.equal(404);
    expect((await ask('GET', '/controller/kill')).body.error).to.equal(
      '/controller/kill: expected POST, got GET',
    );
  });

  it('orders the controller, and breaks its threads', async () => {
    expect((await ask('GET', '/threads')).status).to.equal(503);
    expect((await ask<ControllerView>('POST', '/controller/start')).body.state).to.equal('running');
    await eventually('threads', () => lines.filter((line) => line.startsWith('online')).length === 2);
    expect((await ask('GET', '/threads')).body).to.have.length(3);
    expect((await ask('POST', '/threads/1/exit')).status).to.equal(200);
    await eventually('its end', () => lines.includes('exit 1'));
    expect((await ask('POST', '/threads/7/exit')).status).to.equal(404);
    expect((await ask('POST', '/threads/2/melt')).body.error).to.contain('exit, throw, spin, exhaust');
    expect((await ask('POST', '/controller/clock', { shiftMs: 60_000 })).status).to.equal(200);
    expect((await ask('POST', '/controller/clock', { shiftMs: 'soon' })).body.error).to.contain('shiftMs');
    expect((await ask('GET', '/controller/memory')).body).to.have.property('heapUsedBytes');
    expect((await ask('POST', '/controller/stop')).body).to.include({
      state: 'stopped',
      lastExit: 'exit code 0',
    });
  });

  it('has no controller to order when somebody else started it', async () => {
    const alone = await startAdmin({ port: 0, world, controller: null });
    const response = await fetch(`${alone.url}/controller/kill`, { method: 'POST' });
    expect(response.status).to.equal(409);
    await alone.stop();
  });
});
