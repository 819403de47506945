import { constants, createSecureServer } from 'node:http2';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { createServer as createTlsServer } from 'node:tls';
import { expect } from 'chai';
import type { OriginSettings } from '../../src/domain/ingress.ts';
import { createAuthority } from '../../src/sandbox/certificates.ts';
import { http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import { ask, openStream } from '../support/edge-request.ts';
import { eventually } from '../support/eventually.ts';
import { type Http2Origin, type Http2Script, scriptHttp2 } from '../support/http2-origin.ts';
import { type Proxied, proxied } from '../support/proxied.ts';
import { rawFrame, rawSettings, uint32 } from '../support/raw-frames.ts';
import { tableTo } from '../support/route-to.ts';

const grpc = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
const mayHttp2: Partial<OriginSettings> = { protocol: 'https', http2: true };
const authority = createAuthority('test origins');
const tls = authority.issue({ dnsNames: ['app.example.com'] });

describe('an https origin that may be asked for HTTP/2', () => {
  let here: Proxied;
  let origin: Http2Origin;

  const serve = async (
    script: Http2Script,
    settings: Partial<OriginSettings> = mayHttp2,
    ca: string | null = authority.cert,
    identity = tls,
  ): Promise<Proxied> => {
    origin = await scriptHttp2(script, { tls: identity });
    here = await proxied(() => {}, { routes: () => tableTo([origin.port], settings, ca) });
    return here;
  };
  const hello: Http2Script = (stream) => {
    stream.respond({ ':status': 200 });
    stream.end('hello');
  };
  afterEach(async () => {
    await here.stop();
    await origin.stop();
  });

  it('chooses it by ALPN, and carries gRPC', async () => {
    const { edge } = await serve(async (stream) => {
      const body = await buffer(stream);
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(body);
    });
    const answers = await Promise.all([1, 2, 3].map((i) => ask(edge, '/', grpc, `message ${i}`)));
    expect(answers.map(({ body }) => body.toString()).join()).to.equal('message 1,message 2,message 3');
    expect(answers.every(({ trailers }) => trailers['grpc-status'] === '0')).to.equal(true);
    expect(origin.sessions).to.have.length(1);
    expect(origin.heads[0]?.[':scheme']).to.equal('https');
  });

  it('is reached for the others when one of those who wait for it goes away', async () => {
    const { edge } = await serve(hello);
    const gone = openStream(edge, '/gone', {}, true);
    gone.on('error', () => {});
    const asked = ask(edge, '/');
    gone.close();
    expect((await asked).status).to.equal(200);
    await eventually('nothing to be open', () => here.proxy.openRequests === 0);
    expect(origin.sessions).to.have.length(1);
  });

  it('and speaks nothing else, is not reached without the setting', async () => {
    const { edge } = await serve(hello, { protocol: 'https' });
    expect((await ask(edge, '/')).status).to.equal(502);
    expect(origin.sessions).to.deep.equal([]);
  });

  it('is not reached with a certificate that is not trusted', async () => {
    const { edge, counted } = await serve(hello, mayHttp2, null);
    expect((await ask(edge, '/')).status).to.equal(502);
    expect(counted()?.originErrors).to.deep.equal({ tls: 1 });
  });

  it('and wants a certificate of us, which it says when TLS 1.3 is through on our side, is 502', async () => {
    const wanting = { ...tls, requestCert: true, rejectUnauthorized: true };
    const { edge, counted } = await serve(hello, mayHttp2, authority.cert, wanting);
    expect((await ask(edge, '/')).status).to.equal(502);
    expect(counted()?.originErrors).to.deep.equal({ tls: 1 });
  });
});

describe('an https origin that wants HTTP/1.1 for a request', () => {
  it('gets it so, with its body', async () => {
    const versions: string[] = [];
    const server = createSecureServer({ ...tls, allowHTTP1: true }, async (request, response) => {
      versions.push(request.httpVersion);
      if (request.httpVersion === '2.0') {
        request.stream.on('error', () => {});
        return request.stream.close(constants.NGHTTP2_HTTP_1_1_REQUIRED);
      }
      response.end(await buffer(request));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const here = await proxied(() => {}, { routes: () => tableTo([port], mayHttp2, authority.cert) });
    const answer = await ask(here.edge, '/', { ':method': 'POST' }, 'body');
    expect([answer.status, answer.body.toString()]).to.deep.equal([200, 'body']);
    expect(versions).to.deep.equal(['2.0', '1.1']);
    await here.stop();
    server.close();
  });
});

describe('an https origin that wants HTTP/1.1 for all requests', () => {
  it('and says so as it ends the session over HTTP/2, gets them so', async () => {
    const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nso.';
    const server = createTlsServer({ ...tls, ALPNProtocols: ['h2', 'http/1.1'] }, (socket) => {
      socket.on('error', () => {});
      if (socket.alpnProtocol !== 'h2')
        return socket.on('data', (chunk) => chunk.includes('body') && socket.write(answer));
      socket.write(rawSettings());
      const goaway = rawFrame(7, 0, 0, Buffer.concat([uint32(0), uint32(http2Error.http11Required)]));
      // HEADERS behind the preface and SETTINGS.
      return socket.on('data', (chunk) => chunk.includes('cf-warp-tag-id') && socket.end(goaway));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const here = await proxied(() => {}, { routes: () => tableTo([port], mayHttp2, authority.cert) });
    const { status, body } = await ask(here.edge, '/', { ':method': 'POST' }, 'body');
    expect([status, body.toString()]).to.deep.equal([200, 'so.']);
    await here.stop();
    server.close();
  });
});

describe('an https origin that is not to speak HTTP/2, or does not,', () => {
  let here: Proxied;
  let origin: Server;
  let connections = 0;
  let waiting = 0;

  beforeEach(async () => {
    connections = 0;
    waiting = 0;
    const all = Promise.withResolvers<void>();
    // Answers nobody before five wait, so that they have to come at the same time.
    origin = createServer(tls, async (request, response) => {
      waiting += 1;
      if (waiting === 5) all.resolve();
      await all.promise;
      response.end(`over HTTP/${request.httpVersion}`);
    });
    origin.on('secureConnection', () => {
      connections += 1;
    });
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    await here.stop();
    origin.closeAllConnections();
    origin.close();
  });

  for (const [title, settings] of [
    ['without the setting', { protocol: 'https' }],
    ['with it', mayHttp2],
  ] as const) {
    it(`is served over HTTP/1.1, each request at once on a connection of its own, ${title}`, async () => {
      const { port } = origin.address() as AddressInfo;
      here = await proxied(() => {}, { routes: () => tableTo([port], settings, authority.cert) });
      const answers = await Promise.all([1, 2, 3, 4, 5].map(() => ask(here.edge, '/')));
      expect(answers.map(({ body }) => body.toString())).to.deep.equal(Array(5).fill('over HTTP/1.1'));
      expect((await ask(here.edge, '/')).status).to.equal(200);
      expect(connections).to.equal(5);
    });
  }
});
