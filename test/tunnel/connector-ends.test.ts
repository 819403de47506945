import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { assert } from 'chai';
import { startSpacingMs } from '../../src/tunnel/connector.ts';
import type { TunnelCounts } from '../../src/tunnel/link.ts';
import { ConnectorStage } from '../support/connector-stage.ts';
import { eventually } from '../support/eventually.ts';
import { type EdgePeer, refused } from '../support/scripted-edge.ts';

describe('end of a connector', () => {
  const stage = new ConnectorStage();

  it('stops: unregisters everywhere, finishes the running request, ends once', async () => {
    const { clock, connector } = stage.start({ connections: [0, 1] });
    await stage.running?.registrations(1);
    await clock.advance(startSpacingMs);
    await stage.running?.registrations(2);
    const [busy, idle] = stage.edge.connections as [EdgePeer, EdgePeer];
    const request = busy.request({ ':path': '/hold' });
    await request.headers();
    connector.stop(30_000);
    connector.stop(30_000);
    await eventually('the idle one is closed', () => idle.closed);
    assert.strictEqual((await busy.request({ ':path': '/' }).headers())[':status'], 503, 'it serves on');
    assert.deepEqual([busy.unregistered, idle.unregistered, busy.closed], [true, true, false]);
    stage.origin.finish();
    assert.strictEqual(await request.text(), 'part and end');
    await eventually('it is closed, whatever the time', () => busy.closed);
    await stage.running?.ended();
    assert.deepEqual(stage.running?.facts.slice(2), [
      { type: 'tunnel.ended', run: 'run-1', ending: { how: 'stopped' } },
    ]);
    assert.strictEqual(clock.pendingTimers, 0);
  });

  it('stops: what is not done after the grace period is cut', async () => {
    const { clock, connector } = stage.start();
    await stage.running?.registrations(1);
    const peer = await stage.edge.connection(0);
    const request = peer.request({ ':path': '/hold' });
    await request.headers();
    connector.stop(2000);
    await eventually('unregistered', () => peer.unregistered);
    await clock.advance(1999);
    assert.isFalse(peer.closed);
    await clock.advance(1);
    assert.strictEqual(stage.running?.factsOf('tunnel.ended').length, 1);
    await eventually('closed', () => peer.closed);
    connector.destroy();
    connector.stop(1);
    assert.strictEqual(stage.running?.factsOf('tunnel.ended').length, 1);
  });

  it('stops no later than it was told first, whatever grace it is told next', async () => {
    const { clock, connector } = stage.start();
    await stage.running?.registrations(1);
    const request = (await stage.edge.connection(0)).request({ ':path': '/hold' });
    await request.headers();
    connector.stop(2000);
    await clock.advance(1500);
    connector.stop(30_000);
    await clock.advance(499);
    assert.isEmpty(stage.running?.factsOf('tunnel.ended'));
    await clock.advance(1);
    assert.strictEqual(stage.running?.factsOf('tunnel.ended').length, 1);
  });

  it('has counted every request when it tells that it has ended, and lays none that it cuts at its origin', async () => {
    const { connector, facts, logged } = stage.start();
    await stage.running?.registrations(1);
    const peer = await stage.edge.connection(0);
    await peer.request({ ':path': '/hold' }).headers();
    // Before an origin is dialled, its first byte is waited for.
    peer.request({ ':path': '/hold' }, null);
    await peer.request({ ':path': '/' }).headers();
    let counted: TunnelCounts | null = null;
    facts.push = ({ type }): number => {
      if (type === 'tunnel.ended') counted = connector.takeCounts();
      return 0;
    };
    connector.destroy();
    assert.deepInclude(counted as unknown, { requests: [1, 0, 1, 0, 0, 1], originErrors: {} });
    assert.isEmpty(logged.filter(({ msg }) => msg === 'origin failed'));
    assert.isNull(connector.takeCounts());
  });

  it('stops at once with a grace of 0, without unregistering', async () => {
    const { connector } = stage.start();
    await stage.running?.registrations(1);
    connector.stop(0);
    assert.strictEqual(stage.running?.factsOf('tunnel.ended').length, 1);
    const peer = await stage.edge.connection(0);
    await eventually('closed', () => peer.closed);
    assert.isFalse(peer.unregistered);
  });

  it('ends once when it is stopped while it dials, waits or retries', async () => {
    stage.start().connector.stop(1000);
    await stage.running?.ended();
    const silent = createServer().listen(0, '127.0.0.1');
    const accepted = once(silent, 'connection');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const dialling = stage.start({
      edge: { addresses: [`127.0.0.1:${port}`], ca: stage.edge.ca, region: '' },
    });
    const [socket] = (await accepted) as [Socket];
    const closed = once(socket.resume(), 'close');
    dialling.connector.stop(1000);
    await dialling.ended();
    await closed;
    silent.close();
    stage.edge.script = { controlStream: false };
    const opening = stage.start();
    await eventually('a session', () => stage.edge.connections.at(-1)?.ready);
    opening.connector.stop(1000);
    await opening.ended();
    assert.strictEqual(opening.clock.pendingTimers, 0);
    stage.edge.script = { answer: () => ({ kind: 'silence' }) };
    const registering = stage.start();
    await eventually('asked', () => stage.edge.connections.at(-1)?.registration);
    registering.connector.stop(1000);
    await registering.ended();
    stage.edge.script = { answer: () => refused('busy') };
    const waiting = stage.start();
    await waiting.losses(1);
    waiting.connector.stop(1000);
    await waiting.ended();
    assert.strictEqual(waiting.factsOf('tunnel.ended').length, 1);
  });
});
