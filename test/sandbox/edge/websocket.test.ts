import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { encodeResponseHeaders } from '../../../src/tunnel/wire/response-headers.ts';
import { EdgeStage, stageTunnel } from '../../support/edge-stage.ts';
import { eventually } from '../../support/eventually.ts';
import type { AnswerStream } from '../../support/scripted-connector.ts';

const { host } = stageTunnel;

describe('sandbox edge: WebSocket', () => {
  let stage: EdgeStage;
  beforeEach(async () => {
    stage = await EdgeStage.open();
  });
  afterEach(() => stage.close());

  const dial = (): WebSocket =>
    new WebSocket(stage.edge.frontUrl.replace('http', 'ws'), 'chat', { headers: { host } });

  it('asks the connector by the upgrade header, and turns its 200 into a 101 with raw bytes after it', async () => {
    let requested: Record<string, unknown> = {};
    let received = '';
    await stage.serve((stream, headers) => {
      requested = headers;
      stream.respond({
        ':status': 200,
        'cf-cloudflared-response-headers': encodeResponseHeaders([
          ...['Connection', 'Upgrade', 'Upgrade', 'websocket', 'Sec-WebSocket-Protocol', 'chat'],
          ...['Sec-WebSocket-Accept', acceptOf(String(headers['sec-websocket-key']))],
        ]),
      });
      stream.on('data', (chunk: Buffer) => {
        received += chunk.toString('hex');
      });
      stream.write(Buffer.from([0x81, 2, 0x68, 0x69])); // an unmasked text frame: "hi"
    });
    const socket = dial();
    const messages: string[] = [];
    socket.on('message', (data) => messages.push(String(data)));
    await eventually('a message', () => messages[0] === 'hi');
    expect(requested['cf-cloudflared-proxy-connection-upgrade']).to.equal('websocket');
    expect(requested).to.not.have.any.keys('upgrade', 'connection');
    expect(socket.protocol).to.equal('chat');
    socket.ping();
    await eventually('bytes from the visitor', () => received.startsWith('8980')); // a masked PING
    socket.terminate();
  });

  it('ends the one side when the other does', async () => {
    let closedWith: number | undefined;
    const joined: AnswerStream = (stream, headers) => {
      stream.respond({
        ':status': 200,
        'cf-cloudflared-response-headers': encodeResponseHeaders([
          ...['Connection', 'Upgrade', 'Upgrade', 'websocket'],
          ...[
            'Sec-WebSocket-Accept',
            acceptOf(String(headers['sec-websocket-key'])),
            'Sec-WebSocket-Protocol',
            'chat',
          ],
        ]),
      });
      stream.resume();
      // A connector does not keep half of a WebSocket open (protocol page section 9.1).
      stream.on('end', () => stream.end());
      stream.on('close', () => {
        closedWith = stream.rstCode;
      });
      if (headers[':path'] === '/brief') stream.end();
    };
    await stage.serve(joined);
    const visitor = dial();
    visitor.on('error', () => {});
    await eventually('an open socket', () => visitor.readyState === WebSocket.OPEN);
    visitor.terminate();
    await eventually('the stream ends', () => closedWith !== undefined);

    const brief = new WebSocket(`${stage.edge.frontUrl.replace('http', 'ws')}/brief`, 'chat', {
      headers: { host },
    });
    await eventually('the socket ends', () => brief.readyState === WebSocket.CLOSED);
  });

  it('shows an origin that declines as what it answered', async () => {
    await stage.serve((stream) => {
      stream.respond({
        ':status': 403,
        'cf-cloudflared-response-headers': encodeResponseHeaders(['X-Why', 'members only']),
      });
      stream.end('no');
    });
    const socket = dial();
    const [status, why] = await new Promise<[number | undefined, unknown]>((resolve) => {
      socket.on('unexpected-response', (request, response) => {
        resolve([response.statusCode, response.headers['x-why']]);
        request.destroy();
      });
    });
    expect([status, why]).to.deep.equal([403, 'members only']);
  });

  it('says 530 to a visitor of a tunnel without connections', async () => {
    const socket = dial();
    const status = await new Promise((resolve) => {
      socket.on('unexpected-response', (request, response) => {
        resolve(response.statusCode);
        request.destroy();
      });
    });
    expect(status).to.equal(530);
  });
});

/** RFC 6455 section 4.2.2. */
function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}
