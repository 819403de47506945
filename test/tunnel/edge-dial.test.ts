import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { assert } from 'chai';
import type { Fault } from '../../src/fault.ts';
import { type Clock, systemClock } from '../../src/time/clock.ts';
import { dialEdge, dialStepTimeoutMs } from '../../src/tunnel/edge-dial.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { ScriptedEdge } from '../support/scripted-edge.ts';

function dial(port: number, ca: string | null, clock: Clock = systemClock) {
  const heard: { socket: TLSSocket | null; faults: Fault[] } = { socket: null, faults: [] };
  const attempt = dialEdge({ ip: '127.0.0.1', port }, ca, clock, {
    connected: (socket) => {
      heard.socket = socket;
    },
    failed: (fault) => heard.faults.push(fault),
  });
  return { heard, attempt };
}

async function listener(): Promise<Server> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

describe('edge dial', () => {
  it('gives a verified TLS socket without ALPN', async () => {
    const edge = await ScriptedEdge.start();
    const { heard } = dial(edge.port, edge.ca);
    const socket = await eventually('connected', () => heard.socket);
    assert.isTrue(socket.authorized);
    assert.strictEqual(socket.alpnProtocol || null, null);
    socket.destroy();
    await edge.close();
  });

  it('refuses a certificate for another name, and one of an unknown authority', async () => {
    const edge = await ScriptedEdge.start(['edge.example']);
    const wrongName = dial(edge.port, edge.ca).heard;
    await eventually('refused', () => wrongName.faults[0]);
    const unknown = dial(edge.port, null).heard;
    await eventually('refused', () => unknown.faults[0]);
    assert.deepEqual(
      [...wrongName.faults, ...unknown.faults].map(({ code }) => code),
      ['edge-tls', 'edge-tls'],
    );
    await edge.close();
  });

  it('says when nobody listens', async () => {
    const server = await listener();
    const { port } = server.address() as AddressInfo;
    server.close();
    const { heard } = dial(port, null);
    const fault = await eventually('failed', () => heard.faults[0]);
    assert.strictEqual(fault.code, 'edge-dial');
    assert.include(fault.message, `127.0.0.1:${port}`);
  });

  it('says that a CA bundle is not readable', async () => {
    const { heard } = dial(1, '-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n');
    const fault = await eventually('failed', () => heard.faults[0]);
    assert.strictEqual(fault.code, 'edge-tls');
  });

  it('gives up on a peer that accepts and then says nothing', async () => {
    const server = await listener();
    const clock = new ManualClock();
    const accepted = once(server, 'connection');
    const { heard } = dial((server.address() as AddressInfo).port, null, clock);
    const [socket] = await accepted;
    socket.on('error', () => {});
    socket.resume();
    await once(socket, 'data');
    await clock.advance(dialStepTimeoutMs);
    assert.match(heard.faults[0]?.message ?? '', /no TLS handshake within 15000 ms/);
    assert.strictEqual(heard.faults[0]?.code, 'edge-timeout');
    assert.strictEqual(clock.pendingTimers, 0);
    server.close();
    await once(server, 'close');
  });

  it('tells nothing after it was given up', async () => {
    const server = await listener();
    const clock = new ManualClock();
    const { heard, attempt } = dial((server.address() as AddressInfo).port, null, clock);
    attempt.destroy();
    attempt.destroy();
    await clock.advance(dialStepTimeoutMs * 2);
    assert.deepEqual(heard, { socket: null, faults: [] });
    server.close();
    await once(server, 'close');
  });
});
