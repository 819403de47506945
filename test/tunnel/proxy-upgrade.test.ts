import { once } from 'node:events';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { expect } from 'chai';
import { type SandboxOrigin, startOrigin } from '../../src/sandbox/origin.ts';
import { http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import { decodeResponseHeaders } from '../../src/tunnel/wire/response-headers.ts';
import { answerOf, openStream } from '../support/edge-request.ts';
import { eventually } from '../support/eventually.ts';
import { type Proxied, proxied } from '../support/proxied.ts';
import { tableTo } from '../support/route-to.ts';
import type { OriginScript } from '../support/scripted-origin.ts';

const switching =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n';

function upgrade(edge: ClientHttp2Session, path = '/ws'): ClientHttp2Stream {
  return openStream(edge, path, {
    'cf-cloudflared-proxy-connection-upgrade': 'websocket',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-protocol': 'one, two',
  });
}

describe('a WebSocket through the proxy', () => {
  let here: Proxied;
  let real: SandboxOrigin | null = null;
  const serve = async (script: OriginScript): Promise<Proxied> => {
    here = await proxied(script);
    return here;
  };
  afterEach(async () => {
    await here.stop();
    await real?.stop();
    real = null;
  });

  it('asks the origin as HTTP/1.1 does, and 101 becomes 200', async () => {
    const { edge, origin, counted } = await serve(({ socket }) => socket.write(switching));
    const stream = upgrade(edge);
    const [headers] = await once(stream, 'response');
    expect(headers[':status']).to.equal(200);
    expect(headers['cf-cloudflared-response-meta']).to.equal('{"src":"origin"}');
    const list = decodeResponseHeaders(headers['cf-cloudflared-response-headers']);
    expect(list).to.deep.equal({
      ok: true,
      value: ['Connection', 'Upgrade', 'Upgrade', 'websocket', 'Sec-Websocket-Accept', 'x'],
    });
    expect(origin.connections[0]?.received.split('\r\n').slice(1, -2).sort()).to.deep.equal([
      ...[
        'Cf-Warp-Tag-Id: 11111111-2222-4333-8444-555555555555',
        'Connection: Upgrade',
        'Host: app.example.com',
      ],
      ...['Sec-Websocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-Websocket-Protocol: one, two'],
      ...['Sec-Websocket-Version: 13', 'Upgrade: websocket'],
    ]);
    stream.close();
    await once(stream, 'close');
    await eventually('it to be counted', () => here.proxy.openRequests === 0);
    expect(counted()?.requests).to.deep.equal([0, 1, 0, 0, 0, 0]);
  });

  it('carries raw bytes both ways, also those that came with the 101 and before it', async () => {
    const { edge, origin } = await serve(() => {});
    const stream = upgrade(edge);
    stream.write('early');
    await eventually('the request', () => origin.connections[0]?.requests === 1);
    expect(origin.connections[0]?.received).not.to.contain('early');
    origin.connections[0]?.socket.write(`${switching}\x81\x02hi`, 'latin1');
    expect((await once(stream, 'data'))[0]).to.deep.equal(Buffer.from('\x81\x02hi', 'latin1'));
    await eventually('what came early', () => origin.connections[0]?.received.endsWith('early'));
    const before = origin.connections[0]?.receivedBytes ?? 0;
    const later = Buffer.alloc(2 << 20);
    stream.write(later);
    await eventually('what came later', () => origin.connections[0]?.receivedBytes === before + later.length);
    stream.close();
    await once(stream, 'close');
  });

  it('ends the stream when the origin ends', async () => {
    const { edge, origin } = await serve(({ socket }) => socket.write(switching));
    const stream = upgrade(edge);
    const answer = answerOf(stream);
    await once(stream, 'response');
    origin.connections[0]?.socket.end('bye');
    expect((await answer).body.toString()).to.equal('bye');
    expect(stream.rstCode).to.equal(http2Error.noError);
  });

  it('ends the stream, and does not reset it, when the origin breaks off', async () => {
    const { edge, origin } = await serve(({ socket }) => socket.write(switching));
    const stream = upgrade(edge);
    const answer = answerOf(stream);
    await once(stream, 'response');
    origin.connections[0]?.socket.resetAndDestroy();
    expect((await answer).status).to.equal(200);
  });

  it('ends the origin connection when the edge ends, with everything sent before', async () => {
    const { edge, origin } = await serve(({ socket }) => socket.write(switching));
    const stream = upgrade(edge);
    const answer = answerOf(stream);
    await once(stream, 'response');
    stream.end(Buffer.alloc(100_000, 'x'));
    await answer;
    await eventually('the end', () => origin.connections[0]?.closed);
    expect(origin.connections[0]?.received.endsWith('x'.repeat(100_000))).to.equal(true);
  });

  it('ends the origin connection where the edge had ended before the origin switched, with all that was sent before', async () => {
    const { edge, origin } = await serve(() => {});
    const stream = upgrade(edge);
    const answer = answerOf(stream);
    const sent = Buffer.alloc(900 << 10, 'x');
    stream.end(sent);
    await eventually('the request', () => origin.connections[0]?.requests === 1);
    await new Promise((heard) => edge.ping(heard));
    origin.connections[0]?.socket.write(switching);
    expect((await answer).status).to.equal(200);
    await eventually('the end', () => origin.connections[0]?.closed);
    const { received = '', receivedBytes } = origin.connections[0] ?? {};
    expect(receivedBytes).to.equal(received.indexOf('\r\n\r\n') + 4 + sent.length);
  });

  it('ends the origin connection at once when the edge resets', async () => {
    const { edge, origin } = await serve(({ socket }) => socket.write(switching));
    const stream = upgrade(edge);
    await once(stream, 'response');
    stream.close(http2Error.cancel);
    await eventually('the end', () => origin.connections[0]?.closed);
  });

  it('that the origin declines is an ordinary answer', async () => {
    const { edge } = await serve(({ socket }) => {
      socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
    });
    const answer = await answerOf(upgrade(edge));
    expect(answer.status).to.equal(403);
    expect(answer.body.toString()).to.equal('no');
    expect(answer.originHeaders).to.deep.equal(['Content-Length', '2']);
  });

  it('is not given where nobody asked for one', async () => {
    const { edge, counted } = await serve(({ socket }) => socket.write(switching));
    expect((await answerOf(openStream(edge, '/', {}, true))).status).to.equal(502);
    expect(counted()?.originErrors).to.deep.equal({ protocol: 1 });
  });

  it('is echoed 20 MB by a real server, with its subprotocol', async () => {
    real = await startOrigin();
    const { edge, proxy } = await serve(() => {});
    proxy.updateRoutes(tableTo([real.port]));
    const stream = upgrade(edge);
    const [headers] = await once(stream, 'response');
    expect(String(headers['cf-cloudflared-response-headers'])).to.contain(
      Buffer.from('one').toString('base64'),
    );
    let got = 0;
    let wrong = 0;
    const mask = 0x5a;
    stream.on('data', (chunk: Buffer) => {
      for (const byte of chunk) if (got++ >= 10 && byte !== 0x41) wrong += 1;
    });
    // One masked binary frame of 20 MB (RFC 6455, section 5.2); the echo's header is 10 bytes.
    const head = Buffer.alloc(14, mask);
    head.writeUInt16BE(0x82ff, 0);
    head.writeBigUInt64BE(20_000_000n, 2);
    stream.write(head);
    stream.write(Buffer.alloc(20_000_000, 0x41 ^ mask));
    await eventually('the echo', () => got === 20_000_010);
    expect(wrong).to.equal(0);
    stream.close();
    await once(stream, 'close');
  });
});
