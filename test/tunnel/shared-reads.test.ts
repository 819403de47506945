import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect } from 'chai';
import { onChunk, withSharedReads } from '../../src/tunnel/shared-reads.ts';
import { eventually } from '../support/eventually.ts';

describe('shared reads', () => {
  const server = createServer((socket) => socket.on('error', () => {}));
  const accepted: Socket[] = [];
  const opened: Socket[] = [];
  before(async () => {
    server.on('connection', (socket) => accepted.push(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    for (const socket of [...opened, ...accepted]) socket.destroy();
    opened.length = 0;
    accepted.length = 0;
  });
  after(() => {
    server.close();
  });

  /** A socket of either kind, its other end, and what it has heard. */
  async function pair(kind: 'shared' | 'plain') {
    const { port } = server.address() as AddressInfo;
    const target = { port, host: '127.0.0.1' };
    const socket =
      kind === 'shared' ? withSharedReads((reads) => connect({ ...target, ...reads })) : connect(target);
    opened.push(socket);
    const heard: Buffer[] = [];
    let ended = false;
    onChunk(socket, (chunk) => heard.push(Buffer.from(chunk)));
    socket.on('end', () => {
      ended = true;
    });
    await once(socket, 'connect');
    const peer = await eventually('accepted', () =>
      accepted.find(({ remotePort }) => remotePort === socket.localPort),
    );
    return { socket, peer, text: () => Buffer.concat(heard).toString(), ended: () => ended };
  }

  for (const kind of ['shared', 'plain'] as const) {
    it(`give a ${kind} socket's bytes in order, and its end behind them`, async () => {
      const { peer, text, ended } = await pair(kind);
      const sent = Array.from({ length: 30_000 }, (_, index) => `${index};`).join('');
      peer.end(sent);
      await eventually('ended', ended);
      expect(text()).to.equal(sent);
    });

    it(`stop while a ${kind} socket is paused`, async () => {
      const { socket, peer, text } = await pair(kind);
      peer.write('one');
      await eventually('read', () => text() === 'one');
      socket.pause();
      await new Promise((resolve) => peer.write('two', resolve));
      const other = await pair(kind);
      other.peer.write('three');
      await eventually('read', () => other.text() === 'three');
      expect(text()).to.equal('one');
      socket.resume();
      await eventually('read', () => text() === 'onetwo');
    });
  }
});
