import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { expect } from 'chai';
import { http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import { decodeResponseHeaders } from '../../src/tunnel/wire/response-headers.ts';
import {
  binaryMessage,
  clientFrame,
  opcodes,
  readServerFrames,
  type ServerFrame,
} from '../support/client-frames.ts';
import { answerOf, ask, openStream } from '../support/edge-request.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type Proxied, type ProxiedOptions, proxied } from '../support/proxied.ts';
import { tableTo } from '../support/route-to.ts';
import { standsStill } from '../support/stands-still.ts';
import { scriptTcp, type TcpOrigin } from '../support/tcp-origin.ts';

const key = 'dGhlIHNhbXBsZSBub25jZQ==';

function webSocket(edge: ClientHttp2Session): ClientHttp2Stream {
  return openStream(edge, '/', {
    'cf-cloudflared-proxy-connection-upgrade': 'websocket',
    'sec-websocket-key': key,
    'sec-websocket-version': '13',
  });
}

/** The client's end: what the server's frames say, while they come. */
class Client {
  readonly frames: ServerFrame[] = [];
  readonly stream: ClientHttp2Stream;
  ended = false;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: ClientHttp2Stream) {
    this.stream = stream;
    stream.on('error', () => {});
    stream.on('end', () => {
      this.ended = true;
    });
    stream.on('data', (chunk: Buffer) => {
      const { frames, rest } = readServerFrames(Buffer.concat([this.#rest, chunk]));
      this.frames.push(...frames);
      this.#rest = rest;
    });
  }

  /** Without putting it together: for looking often. */
  get binaryBytes(): number {
    return this.frames.reduce(
      (sum, { opcode, payload }) => sum + (opcode === opcodes.binary ? payload.length : 0),
      0,
    );
  }

  get binary(): Buffer {
    return Buffer.concat(
      this.frames.filter(({ opcode }) => opcode === opcodes.binary).map(({ payload }) => payload),
    );
  }

  get close(): number | null | undefined {
    const frame = this.frames.find(({ opcode }) => opcode === opcodes.close);
    return frame === undefined
      ? undefined
      : frame.payload.length === 0
        ? null
        : frame.payload.readUInt16BE(0);
  }
}

describe('a tcp backend over WebSocket', () => {
  let here: Proxied;
  let origin: TcpOrigin;

  const serve = async (options: ProxiedOptions = {}): Promise<Proxied> => {
    origin = await scriptTcp();
    here = await proxied(() => {}, { ...options, routes: () => tableTo([origin.port], { protocol: 'tcp' }) });
    return here;
  };
  const open = async (options?: ProxiedOptions) => {
    const { edge } = await serve(options);
    const stream = webSocket(edge);
    const [headers] = await once(stream, 'response');
    const socket = await eventually('the origin to be dialled', () => origin.sockets[0]);
    return { client: new Client(stream), stream, socket, headers };
  };
  afterEach(async () => {
    await here.stop();
    await origin.stop();
  });

  it('is opened with the handshake that the key asks for', async () => {
    const { headers, stream } = await open();
    expect(headers[':status']).to.equal(200);
    expect(headers['cf-cloudflared-response-meta']).to.equal('{"src":"origin"}');
    expect(decodeResponseHeaders(headers['cf-cloudflared-response-headers'])).to.deep.equal({
      ok: true,
      value: [
        'Connection',
        'Upgrade',
        'Upgrade',
        'websocket',
        'Sec-Websocket-Accept',
        's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
      ],
    });
    stream.close();
    await once(stream, 'close');
    await eventually('it to be counted', () => here.proxy.openRequests === 0);
    expect(here.counted()?.requests).to.deep.equal([0, 1, 0, 0, 0, 0]);
  });

  it('is opened without handshake headers when no key was sent', async () => {
    const { edge } = await serve();
    const stream = openStream(edge, '/');
    const [headers] = await once(stream, 'response');
    expect(headers[':status']).to.equal(200);
    expect(headers['cf-cloudflared-response-headers']).to.equal('');
    stream.close();
    await once(stream, 'close');
  });

  it('gets binary messages as bytes, and each read comes back as one frame', async () => {
    const { client, stream, socket } = await open();
    stream.write(binaryMessage(Buffer.from('hello ')));
    stream.write(clientFrame({ opcode: opcodes.binary, payload: Buffer.from('wor'), final: false }));
    stream.write(clientFrame({ opcode: opcodes.continuation, payload: Buffer.from('ld') }));
    await eventually('the bytes', () => origin.received(0) === 'hello world');
    socket.write('welcome');
    await eventually('the frame', () => client.frames.length === 1);
    expect(client.frames).to.deep.equal([{ opcode: opcodes.binary, payload: Buffer.from('welcome') }]);
  });

  it('gets what was sent before it was reached', async () => {
    const { edge } = await serve();
    const stream = webSocket(edge);
    stream.write(binaryMessage(Buffer.from('early')));
    await eventually('the bytes', () => origin.received(0) === 'early');
    stream.close();
    await once(stream, 'close');
  });

  it('is not told text, pings and pongs; pings are answered', async () => {
    const { client, stream } = await open();
    stream.write(clientFrame({ opcode: opcodes.text, payload: Buffer.from('text') }));
    stream.write(clientFrame({ opcode: opcodes.pong, payload: Buffer.from('pong') }));
    stream.write(clientFrame({ opcode: opcodes.ping, payload: Buffer.from('are you there') }));
    stream.write(binaryMessage(Buffer.from('bytes')));
    await eventually('the bytes', () => origin.received(0) === 'bytes');
    await eventually('the pong', () => client.frames.length === 1);
    expect(client.frames).to.deep.equal([{ opcode: opcodes.pong, payload: Buffer.from('are you there') }]);
  });

  it('has its client pinged every 54 seconds', async () => {
    const clock = new ManualClock();
    const { client, stream } = await open({ clock });
    await clock.advance(53_999);
    await clock.advance(1);
    await eventually('the first ping', () => client.frames.length === 1);
    await clock.advance(54_000);
    await eventually('the second ping', () => client.frames.length === 2);
    expect(
      client.frames.every(({ opcode, payload }) => opcode === opcodes.ping && payload.length === 0),
    ).to.equal(true);
    stream.close();
    await once(stream, 'close');
    await eventually('no timer to be left', () => clock.pendingTimers === 0);
  });

  it('carries 20 MB there and back without loss, past a slow reader', async function () {
    this.timeout(60_000);
    const messageBytes = 5 * 1024 * 1024;
    const totalBytes = 4 * messageBytes;
    const { edge } = await serve();
    const stream = webSocket(edge);
    await once(stream, 'response');
    const socket = await eventually('the origin to be dialled', () => origin.sockets[0]);
    origin.echo(0);
    const sent = createHash('sha256');
    const came = createHash('sha256');
    let cameBytes = 0;
    let rest: Buffer = Buffer.alloc(0);
    // A reader that stops for a turn of the event loop after each piece.
    const reading = (async () => {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        const read = readServerFrames(Buffer.concat([rest, chunk]));
        rest = read.rest;
        for (const { payload } of read.frames) {
          came.update(payload);
          cameBytes += payload.length;
        }
        await new Promise((resolve) => setImmediate(resolve));
        if (cameBytes >= totalBytes) return;
      }
    })();
    // Messages of 5 MB: three hundred times what cloudflared passes whole.
    for (let i = 0; i < 4; i += 1) {
      const payload = Buffer.alloc(messageBytes, i + 1);
      sent.update(payload);
      if (!stream.write(binaryMessage(payload))) await once(stream, 'drain');
    }
    await reading;
    expect(cameBytes).to.equal(totalBytes);
    expect(came.digest('hex')).to.equal(sent.digest('hex'));
    expect(socket.destroyed).to.equal(false);
  });

  it('is not read further than its client reads', async () => {
    const { edge } = await serve();
    const stream = webSocket(edge);
    await once(stream, 'response');
    const socket = await eventually('the origin to be dialled', () => origin.sockets[0]);
    const totalBytes = 40 * 1024 * 1024;
    const piece = Buffer.alloc(64 * 1024);
    let sentBytes = 0;
    const send = (): void => {
      while (sentBytes < totalBytes) {
        sentBytes += piece.length;
        if (!socket.write(piece)) return void socket.once('drain', send);
      }
    };
    send();
    await standsStill('what the origin has sent', () => sentBytes);
    expect(sentBytes).to.be.lessThan(totalBytes);
    const client = new Client(stream);
    await eventually('all of it', () => client.binaryBytes === totalBytes);
  });

  it('does not pile up pongs for a client that does not read', async () => {
    const { edge } = await serve();
    const stream = webSocket(edge);
    const [headers] = await once(stream, 'response');
    expect(headers[':status']).to.equal(200);
    const socket = await eventually('the origin to be dialled', () => origin.sockets[0]);
    // Fills the client's window, so that every pong has to wait.
    socket.write(Buffer.alloc(8 * 1024 * 1024));
    await eventually(
      'the window to be full',
      () => stream.state.localWindowSize !== undefined && here.session.openStreams === 1,
    );
    for (let i = 0; i < 2_000; i += 1) {
      stream.write(clientFrame({ opcode: opcodes.ping, payload: Buffer.from(`ping ${i}`) }));
    }
    stream.write(binaryMessage(Buffer.from('after the pings')));
    await eventually('all pings to have been read', () => origin.received(0) === 'after the pings');
    const client = new Client(stream);
    await eventually('the last pong', () =>
      client.frames.some(({ payload }) => payload.toString() === 'ping 1999'),
    );
    expect(client.frames.filter(({ opcode }) => opcode === opcodes.pong).length).to.be.lessThan(2_000);
  });

  describe('ends', () => {
    it('when the client closes: the code is echoed, what was sent arrives', async () => {
      const { client, stream } = await open();
      stream.write(binaryMessage(Buffer.from('last words')));
      stream.write(
        clientFrame({ opcode: opcodes.close, payload: Buffer.from([0x0f, 0xa0, 0x62, 0x79, 0x65]) }),
      );
      await eventually('the end', () => client.ended);
      expect(client.close).to.equal(4000);
      await eventually('the origin to be closed', () => origin.closed(0));
      expect(origin.received(0)).to.equal('last words');
      expect(here.proxy.openRequests).to.equal(0);
    });

    it('when the origin does, with 1000 after its last byte', async () => {
      const { client, socket } = await open();
      socket.end('last words');
      await eventually('the end', () => client.ended);
      expect(client.binary.toString()).to.equal('last words');
      expect(client.close).to.equal(1000);
    });

    it('with 1011 when the origin breaks off', async () => {
      const { client, socket } = await open();
      socket.resetAndDestroy();
      await eventually('the end', () => client.ended);
      expect(client.close).to.equal(1011);
      expect(here.counted()?.originErrors).to.deep.equal({ reset: 1 });
    });

    it('when the eyeball goes away, at once', async () => {
      const { stream } = await open();
      stream.close(http2Error.cancel);
      await eventually('the origin to be closed', () => origin.closed(0));
      expect(here.proxy.openRequests).to.equal(0);
    });

    it('when the edge connection is lost, at once', async () => {
      await open();
      here.edge.destroy();
      await eventually('the origin to be closed', () => origin.closed(0));
      expect(here.proxy.openRequests).to.equal(0);
    });

    it('when the edge ends the stream without a close', async () => {
      const { client, stream } = await open();
      stream.end();
      await eventually('the end', () => client.ended);
      await eventually('the origin to be closed', () => origin.closed(0));
    });

    for (const [title, bytes, code] of [
      ['is not masked', clientFrame({ opcode: opcodes.binary, payload: Buffer.from('x'), mask: null }), 1002],
      ['has reserved bits', clientFrame({ opcode: opcodes.binary, reserved: 2 }), 1002],
      ['has an unknown opcode', clientFrame({ opcode: 5 }), 1002],
      ['is a ping of 200 bytes', clientFrame({ opcode: opcodes.ping, payload: Buffer.alloc(200) }), 1002],
    ] as const) {
      it(`with ${code} when a frame ${title}`, async () => {
        const { client, stream } = await open();
        stream.write(binaryMessage(Buffer.from('good')));
        stream.write(bytes);
        stream.write(binaryMessage(Buffer.from('bad')));
        await eventually('the end', () => client.ended);
        expect(client.close).to.equal(code);
        await eventually('the origin to be closed', () => origin.closed(0));
        expect(origin.received(0)).to.equal('good');
      });
    }

    it('with the tunnel', async () => {
      const { client } = await open();
      here.proxy.destroy();
      await eventually('the end', () => client.ended);
      await eventually('the origin to be closed', () => origin.closed(0));
    });
  });

  it('is 502 when it cannot be reached', async () => {
    const { edge } = await serve();
    await origin.stop();
    const answer = await answerOf(webSocket(edge));
    expect(answer.status).to.equal(502);
    expect(answer.headers['cf-cloudflared-response-meta']).to.equal('{"src":"cloudflared"}');
    expect(here.counted()?.originErrors).to.deep.equal({ refused: 1 });
  });

  it('answers a plain request, which can say nothing, and ends', async () => {
    const { edge } = await serve();
    expect((await ask(edge, '/')).status).to.equal(200);
    await eventually('the origin to be closed', () => origin.closed(0));
  });
});
