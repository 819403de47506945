import { spawn } from 'node:child_process';
import { constants, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import {
  createServer as createTlsServer,
  type TLSSocket,
  type TlsOptions,
  type Server as TlsServer,
} from 'node:tls';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import type { Fault } from '../../src/fault.ts';
import { createAuthority } from '../../src/sandbox/certificates.ts';
import { type Clock, systemClock } from '../../src/time/clock.ts';
import { dialEdge, dialStepTimeoutMs, edgeServerName } from '../../src/tunnel/edge-dial.ts';
import { onChunk } from '../../src/tunnel/shared-reads.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { ScriptedEdge } from '../support/scripted-edge.ts';

function dial(port: number, ca: string | null, clock: Clock = systemClock) {
  const heard: { socket: TLSSocket | null; resumed: boolean; faults: Fault[] } = {
    socket: null,
    resumed: false,
    faults: [],
  };
  const attempt = dialEdge({ ip: '127.0.0.1', port }, ca, clock, {
    reached: () => {},
    connected: (socket) => {
      heard.socket = socket;
      heard.resumed = socket.isSessionReused();
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

  it('asks for AES with 128 bits first where the edge leaves it to us', async () => {
    const { cert, key, ca } = certified(edgeServerName);
    const server = createTlsServer({ cert, key, honorCipherOrder: false }, (edge) => edge.resume());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { heard } = dial((server.address() as AddressInfo).port, ca);
    const socket = await eventually('connected', () => heard.socket);
    const { name } = socket.getCipher();
    socket.destroy();
    server.close();
    await once(server, 'close');
    assert.strictEqual(name, 'TLS_AES_128_GCM_SHA256');
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

  it('says when this process may open no further file, and not that the address is bad', async () => {
    const script = fileURLToPath(new URL('../support/out-of-files.js', import.meta.url));
    const limited = spawn('sh', ['-c', 'ulimit -n 64 && exec "$0" "$1"', process.execPath, script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    limited.stdout.setEncoding('utf8');
    const [said] = (await once(limited.stdout, 'data')) as [string];
    const fault = JSON.parse(said) as Fault;
    assert.strictEqual(fault.code, 'files-exhausted');
    assert.match(fault.message, /this process has as many files open as it may \(EMFILE\)/);
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
    assert.deepEqual(heard, { socket: null, resumed: false, faults: [] });
    server.close();
    await once(server, 'close');
  });
});

describe('edge dial, again', () => {
  const { cert, key, ca } = certified('h2.cftunnel.com');
  let edge: TlsServer;

  const start = async (options: TlsOptions = {}, port = 0): Promise<void> => {
    edge = createTlsServer({ cert, key, ...options }, (socket) => {
      socket.on('error', () => {});
      // What a client resumes with comes behind the handshake, before this.
      socket.end('hello');
    });
    edge.on('tlsClientError', () => {});
    edge.listen(port, '127.0.0.1');
    await once(edge, 'listening');
  };
  /** Whether it resumed, once all that the edge had to say is read. */
  const resumes = async (): Promise<boolean> => {
    const { heard } = dial((edge.address() as AddressInfo).port, ca);
    const socket = await eventually('connected', () => heard.socket);
    onChunk(socket, () => {});
    socket.resume();
    await eventually('the edge has said all', () => socket.readableEnded);
    socket.destroy();
    return heard.resumed;
  };
  afterEach(async () => {
    edge.close();
    await once(edge, 'close');
  });

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`resumes the session of an address that it knows (${version})`, async () => {
      await start({ maxVersion: version });
      assert.deepEqual([await resumes(), await resumes(), await resumes()], [false, true, true]);
    });

    it(`does without where the edge has forgotten it (${version})`, async () => {
      await start({ maxVersion: version });
      await resumes();
      edge.setTicketKeys(randomBytes(48));
      assert.isFalse(await resumes());
    });
  }

  it('does without where the edge had nothing to say to it', async () => {
    await start();
    const keys = edge.getTicketKeys();
    const { port } = edge.address() as AddressInfo;
    assert.isFalse(await resumes());
    edge.close();
    await once(edge, 'close');
    const silent = createServer();
    silent.listen(port, '127.0.0.1');
    await once(silent, 'listening');
    const accepted = once(silent, 'connection');
    const clock = new ManualClock();
    const { heard } = dial(port, ca, clock);
    const [socket] = await accepted;
    socket.resume();
    await once(socket, 'data');
    await clock.advance(dialStepTimeoutMs);
    assert.strictEqual(heard.faults[0]?.code, 'edge-timeout');
    silent.close();
    await once(silent, 'close');
    await start({ ticketKeys: keys }, port);
    assert.isFalse(await resumes());
    assert.isTrue(await resumes());
  });

  it('does without where the edge gives none', async () => {
    await start({ secureOptions: constants.SSL_OP_NO_TICKET, sessionTimeout: 1, maxVersion: 'TLSv1.2' });
    assert.deepEqual([await resumes(), await resumes()], [false, false]);
  });

  it('keeps none of an edge that is not who it should be', async () => {
    const other = certified('edge.example');
    await start({ cert: other.cert, key: other.key, maxVersion: 'TLSv1.2' });
    for (const attempt of ['first', 'second']) {
      const { heard } = dial((edge.address() as AddressInfo).port, other.ca);
      const fault = await eventually(`the ${attempt} is refused`, () => heard.faults[0]);
      assert.strictEqual(fault.code, 'edge-tls');
    }
  });
});

function certified(name: string) {
  const authority = createAuthority('edge');
  return { ...authority.issue({ dnsNames: [name] }), ca: authority.cert };
}
