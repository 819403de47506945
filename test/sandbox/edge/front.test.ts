import { constants } from 'node:http2';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import { encodeResponseHeaders } from '../../../src/tunnel/wire/response-headers.ts';
import { EdgeStage, idleHost, stageTunnel } from '../../support/edge-stage.ts';
import { eventually } from '../../support/eventually.ts';
import { begin, visit } from '../../support/eyeball.ts';
import type { AnswerStream } from '../../support/scripted-connector.ts';

const { host } = stageTunnel;

/** Answers with these origin headers and this body. */
function answering(status: number, origin: readonly string[], body = ''): AnswerStream {
  return (stream) => {
    stream.respond({
      ':status': status,
      'content-type': 'artefact/of-the-connector',
      'cf-cloudflared-response-headers': encodeResponseHeaders(origin),
      'cf-cloudflared-response-meta': '{"src":"origin"}',
    });
    stream.end(body);
  };
}

/** Tells what reached the connector. */
const telling: AnswerStream = (stream, headers) => {
  const chunks: Buffer[] = [];
  let trailers = {};
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('trailers', (received: object) => {
    trailers = received;
  });
  stream.on('end', () => {
    answering(
      200,
      [],
      JSON.stringify({ headers, trailers, body: Buffer.concat(chunks).toString('utf8') }),
    )(stream, headers);
  });
};

describe('sandbox edge: front door', () => {
  let stage: EdgeStage;
  beforeEach(async () => {
    stage = await EdgeStage.open();
  });
  afterEach(() => stage.close());

  const front = (): string => stage.edge.frontUrl;

  it('shows the origin headers of the serialized list, none of the connector, and its own', async () => {
    const origin = ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'X-Empty', '', 'Keep-Alive', 'timeout=5'];
    await stage.serve(
      answering(201, [...origin, 'Connection', 'X-Hop', 'X-Hop', '1', 'Server', 'o'], 'made'),
    );
    const answer = await visit(front(), { host });
    expect(answer).to.include({ status: 201, body: 'made' });
    expect(answer.headers['set-cookie']).to.deep.equal(['a=1', 'b=2']);
    expect(answer.headers).to.include({ 'x-empty': '', server: 'cloudflare' });
    expect(answer.headers).to.not.have.any.keys('x-hop', 'content-type', 'cf-cloudflared-response-headers');
    expect(answer.headers['cf-ray']).to.match(/^[0-9a-f]{16}-SBX$/);
  });

  it('tells the connector who visits, and hides what a visitor may not say', async () => {
    await stage.serve(telling);
    const answer = await visit(front(), {
      host: `${host}:8080`,
      path: '/a//b/../c%2f?q=1;2',
      headers: {
        'cf-cloudflared-proxy-connection-upgrade': 'update-configuration',
        'CF-Cloudflared-Proxy-Src': 'x',
        'cf-int-thing': 'x',
        'cf-proxy-thing': 'x',
        'cf-connecting-ip': '203.0.113.9',
        'x-forwarded-for': '203.0.113.9',
        connection: 'x-hop, close',
        'x-hop': '1',
        te: 'trailers, deflate',
        'x-kept': ['one', 'two'],
      },
    });
    const { headers } = JSON.parse(answer.body);
    expect(headers).to.include({
      ':method': 'GET',
      ':authority': `${host}:8080`,
      ':path': '/a//b/../c%2f?q=1;2',
      'cf-connecting-ip': '127.0.0.1',
      'x-forwarded-for': '203.0.113.9, 127.0.0.1',
      'x-forwarded-proto': 'http',
      'cdn-loop': 'cloudflare; loops=1',
      'x-kept': 'one, two',
      te: 'trailers',
      'cf-ray': answer.headers['cf-ray'],
    });
    const names = Object.keys(headers);
    expect(names.filter((name) => /^cf-(cloudflared|int|proxy)|hop|^connection$/.test(name))).to.deep.equal(
      [],
    );
  });

  for (const { title, headers } of [
    { title: 'of a known length', headers: { 'content-length': 9 } },
    { title: 'of unknown length', headers: { 'transfer-encoding': 'chunked', trailer: 'x-sum' } },
  ]) {
    it(`carries a request body ${title}`, async () => {
      await stage.serve(telling);
      const body = Readable.from(['one ', 'two ', '3']);
      const answer = await visit(front(), { host, method: 'POST', headers, body });
      const received = JSON.parse(answer.body);
      expect(received).to.deep.include({ body: 'one two 3' });
      // Announced trailers are the only ones that a connector gives on.
      expect(received.headers.trailer).to.equal('trailer' in headers ? headers.trailer : undefined);
    });
  }

  it('carries trailers both ways', async () => {
    await stage.serve((stream) => {
      let received = {};
      stream.on('trailers', (trailers: object) => {
        received = trailers;
      });
      stream.resume();
      stream.on('end', () => {
        stream.respond({ ':status': 200, 'cf-cloudflared-response-headers': '' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end(JSON.stringify(received));
      });
    });
    const raw = await exchangeRaw(
      front(),
      `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n`,
    );
    expect(raw).to.contain('"x-sum":"7"');
    expect(raw).to.match(/\r\n0\r\ngrpc-status: 0\r\n\r\n$/);
  });

  it('keeps the length of an answer to HEAD, and sends no body with 204 and 304', async () => {
    await stage.serve((stream, headers) => {
      const status = Number(String(headers[':path']).slice(1));
      const list = encodeResponseHeaders(status === 200 ? ['Content-Length', '1234'] : ['Etag', '"x"']);
      stream.respond({ ':status': status, 'cf-cloudflared-response-headers': list }, { endStream: true });
    });
    const head = await visit(front(), { host, method: 'HEAD', path: '/200' });
    expect(head.headers['content-length']).to.equal('1234');
    for (const status of [204, 304]) {
      const answer = await visit(front(), { host, path: `/${status}` });
      expect(answer).to.include({ status, body: '' });
      expect(answer.headers.etag).to.equal('"x"');
    }
  });

  it('streams: the first piece is there before the second is made', async () => {
    let more = (): void => {};
    await stage.serve((stream) => {
      stream.respond({ ':status': 200, 'cf-cloudflared-response-headers': '' });
      stream.write('data: 1\n\n');
      more = () => stream.end('data: 2\n\n');
    });
    const response = await begin(front(), { host });
    const pieces: string[] = [];
    response.setEncoding('utf8').on('data', (piece: string) => pieces.push(piece));
    await eventually('the first piece', () => pieces.length === 1);
    more();
    await eventually('the second piece', () => pieces.join('') === 'data: 1\n\ndata: 2\n\n');
  });

  it('does not read ahead of a visitor who does not read', async () => {
    let sentBytes = 0;
    await stage.serve((stream) => {
      stream.respond({ ':status': 200, 'cf-cloudflared-response-headers': '' });
      const chunk = Buffer.alloc(64 << 10);
      const fill = (): void => {
        do sentBytes += chunk.length;
        while (stream.write(chunk));
      };
      stream.on('drain', fill);
      fill();
    });
    const response = await begin(front(), { host });
    let before = -1;
    await eventually('the connector has to wait', () => {
      const isStill = before === sentBytes;
      before = sentBytes;
      return isStill && sentBytes > 0;
    });
    expect(sentBytes).to.be.below(32 << 20);
    response.destroy();
  });

  it('cuts an answer that the connector cut, so that it does not look whole', async () => {
    await stage.serve((stream) => {
      stream.respond({ ':status': 200, 'cf-cloudflared-response-headers': '' });
      stream.write('part');
      setImmediate(() => stream.destroy(new Error('the origin died')));
    });
    const outcome = await visit(front(), { host }).then(
      () => 'whole',
      (error: NodeJS.ErrnoException) => error.code,
    );
    expect(outcome).to.equal('ECONNRESET');
  });

  it('passes on a whole answer to an upload that the connector stops with it', async () => {
    await stage.serve((stream, headers) => {
      answering(413, [], 'too much')(stream, headers);
      stream.close(constants.NGHTTP2_NO_ERROR);
    });
    const upload = new Readable({ read() {} });
    upload.push('the first of much');
    const answer = await visit(front(), { host, method: 'POST', body: upload });
    expect(answer).to.include({ status: 413, body: 'too much' });
  });

  it('resets the stream of an upload whose visitor has left with an early answer', async () => {
    let rstCode = -1;
    await stage.serve((stream, headers) => {
      answering(413, [], 'too much')(stream, headers);
      // It reads on, and has no reason to stop the upload.
      stream.resume().once('close', () => {
        rstCode = stream.rstCode ?? -1;
      });
    });
    const { hostname, port } = new URL(front());
    const visitor = connect(Number(port), hostname);
    visitor.write(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100\r\n\r\nthe first of much`);
    let answer = '';
    visitor.setEncoding('latin1').on('data', (text: string) => {
      answer += text;
    });
    await eventually('the whole answer', () => answer.endsWith('too much\r\n0\r\n\r\n'));
    visitor.destroy();
    await eventually('the reset', () => rstCode !== -1);
    expect(rstCode).to.equal(constants.NGHTTP2_CANCEL);
    expect(stage.edge.connections()[0]?.openStreams).to.equal(0);
  });

  it('resets the stream when the visitor goes away', async () => {
    let resetCode: number | undefined;
    await stage.serve((stream) => {
      stream.respond({ ':status': 200, 'cf-cloudflared-response-headers': '' });
      stream.write('first of many');
      stream.on('close', () => {
        resetCode = stream.rstCode;
      });
    });
    (await begin(front(), { host })).destroy();
    await eventually('the stream is cancelled', () => resetCode === 8);
  });

  const notForEyeballs = [
    { title: 'says that it cannot reach the origin', headers: {}, status: 502 },
    { title: 'sends a header with a line break', list: `${b64('X-A')}:${b64('a\r\nX-B: c')}`, status: 502 },
    { title: 'sends a header with a NUL', list: `${b64('X-A')}:${b64('a\0')}`, status: 502 },
    { title: 'sends a header name that is no token', list: `${b64('X A')}:${b64('a')}`, status: 502 },
    { title: 'sends a list that is none', list: 'a:b:c', status: 502 },
  ];
  for (const { title, list, status } of notForEyeballs) {
    it(`answers in its own name when the connector ${title}`, async () => {
      await stage.serve((stream) => {
        stream.respond({
          ':status': list === undefined ? 502 : 200,
          ...(list !== undefined && { 'cf-cloudflared-response-headers': list }),
        });
        stream.end('not for eyeballs');
      });
      const answer = await visit(front(), { host });
      expect(answer).to.include({ status, body: `error code: ${status}` });
      expect(answer.headers).to.not.have.property('x-a');
    });
  }

  it('says 530 with 1033 for a tunnel without connections, and 404 with 1001 for a name that is not there', async () => {
    expect(await visit(front(), { host: idleHost })).to.include({ status: 530, body: 'error code: 1033' });
    expect(await visit(front(), { host: 'nobody.example.com' })).to.include({
      status: 404,
      body: 'error code: 1001',
    });
  });

  it('takes the host of an absolute target', async () => {
    await stage.serve(telling);
    const raw = await exchangeRaw(
      front(),
      `GET http://${host}/x?y HTTP/1.1\r\nHost: other.example.com\r\nConnection: close\r\n\r\n`,
    );
    expect(raw).to.contain(`":authority":"${host}"`).and.to.contain('":path":"/x?y"');
  });

  it('spreads requests over the connections', async () => {
    const connectors = [0, 1, 2];
    for (const index of connectors) await stage.serve(answering(200, []), index);
    for (let request = 0; request < 9; request++) await visit(front(), { host });
    expect(stage.edge.connections().map(({ requests }) => requests)).to.deep.equal([3, 3, 3]);
  });

  it('gives a refused request to another connection, but not one whose body has begun', async () => {
    const refusing: AnswerStream = (stream) => stream.close(7);
    await stage.serve(refusing, 0);
    await stage.serve(answering(200, [], 'second'), 1);
    for (let request = 0; request < 4; request++) {
      expect((await visit(front(), { host, method: 'DELETE' })).body).to.equal('second');
    }
  });

  it('gives a safe request of a lost connection to another one', async () => {
    const first = await stage.serve(() => first.destroy(), 0);
    await stage.serve(answering(200, [], 'second'), 1);
    for (let request = 0; request < 2; request++) {
      expect((await visit(front(), { host })).body).to.equal('second');
    }
  });

  it('does not send an unsafe request twice', async () => {
    let seen = 0;
    const losing = async (connIndex: number): Promise<void> => {
      const connector = await stage.serve(() => {
        seen++;
        connector.destroy();
      }, connIndex);
    };
    await losing(0);
    await losing(1);
    const answer = await visit(front(), { host, method: 'POST' });
    expect(answer.status).to.equal(502);
    expect(seen).to.equal(1);
  });
});

/** Sends bytes to the front and gives all that comes back until it closes. */
function exchangeRaw(frontUrl: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(frontUrl);
    let received = '';
    const socket = connect(Number(port), hostname, () => socket.write(text));
    socket.setEncoding('latin1').on('data', (piece: string) => {
      received += piece;
    });
    socket.on('close', () => resolve(received)).on('error', reject);
  });
}

function b64(text: string): string {
  return btoa(text).replace(/=+$/, '');
}
