import { randomBytes } from 'node:crypto';
import type { ClientHttp2Session } from 'node:http2';
import { expect } from 'chai';
import type { EdgeSessionEvents, RequestHead } from '../../src/tunnel/edge-session.ts';
import { answerOf, nodeEdge, sessionOn, socketPair, type TestedSession } from '../support/edge-peer.ts';

/** Answers with what it was sent. */
const echo: EdgeSessionEvents['stream'] = (stream, head) => {
  stream.respond(200, ['x-method', head.method, 'x-path', head.path], head.ended);
  return {
    data: (chunk) => {
      stream.write(Buffer.from(chunk));
    },
    end: (trailers) => stream.end(trailers),
    reset: () => {},
    drain: () => {},
  };
};

describe('HTTP/2 session, with the HTTP/2 client of Node.js as the edge', () => {
  let client: ClientHttp2Session;
  let tested: TestedSession;

  async function start(stream: EdgeSessionEvents['stream']): Promise<void> {
    const { near, far } = await socketPair();
    tested = sessionOn(near, stream);
    client = nodeEdge(far);
  }

  afterEach(async () => {
    client.destroy();
    tested.session.destroy();
    await tested.ended;
  });

  it('serves a request without a body', async () => {
    await start(echo);
    const answer = await answerOf(client.request({ ':path': '/a?b=c' }));
    expect(answer.headers).to.include({ ':status': 200, 'x-method': 'GET', 'x-path': '/a?b=c' });
    expect(answer.body.length).to.equal(0);
    expect(tested.session.openStreams).to.equal(0);
  });

  it('carries bodies both ways', async () => {
    await start(echo);
    const body = randomBytes(3 * 1024 * 1024 + 17);
    const request = client.request({ ':method': 'POST' });
    request.end(body);
    const answer = await answerOf(request);
    expect(answer.body.equals(body)).to.equal(true);
  });

  it('gives the head as it was sent, cookie crumbs apart, without host', async () => {
    const heads: RequestHead[] = [];
    await start((stream, head) => {
      heads.push(head);
      return echo(stream, head);
    });
    await answerOf(
      client.request({ ':authority': 'app.example.com', 'x-a': ['1', '2'], cookie: ['a=1', 'b=2'] }),
    );
    expect(heads).to.have.length(1);
    expect(heads[0]).to.include({ authority: 'app.example.com', scheme: 'http', method: 'GET', ended: true });
    expect(heads[0]!.headers).to.deep.equal(['x-a', '1', 'x-a', '2', 'cookie', 'a=1', 'cookie', 'b=2']);
  });
});
