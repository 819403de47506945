import { expect } from 'chai';
import { Http1Parser, maxHeadBytes, maxInterimResponses } from '../../../src/tunnel/origin/http1-parser.ts';
import { readResponse } from '../../support/http1-reading.ts';

describe('HTTP/1.1 response parser says of the connection', () => {
  const reusable = (text: string, closes = false): boolean => {
    let told: boolean | null = null;
    const parser: Http1Parser = new Http1Parser({
      responseHead: () => {},
      responseBody: () => {},
      responseEnd: () => {
        told = parser.reusable;
      },
    });
    parser.start('GET', false);
    parser.feed(Buffer.from(text));
    if (closes) parser.finish();
    if (told === null) throw new Error('no end was told');
    return told;
  };
  it('that it can be used again after a delimited response', () => {
    expect(reusable('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')).to.equal(true);
    expect(reusable('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')).to.equal(true);
    expect(reusable('HTTP/1.0 200 OK\r\nConnection: x, keep-alive\r\nContent-Length: 0\r\n\r\n')).to.equal(
      true,
    );
  });
  it('that it cannot, after close, after HTTP/1.0, or when more came than was asked for', () => {
    expect(reusable('HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok')).to.equal(
      false,
    );
    expect(reusable('HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok')).to.equal(false);
    expect(reusable('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokX')).to.equal(false);
    expect(reusable('HTTP/1.1 204 No\r\n\r\nX')).to.equal(false);
  });
  it('that it cannot after a body that ends with it, or one that may still come where none must be', () => {
    expect(reusable('HTTP/1.1 200 OK\r\n\r\nall of it', true)).to.equal(false);
    expect(reusable('HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n')).to.equal(false);
    expect(reusable('HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n')).to.equal(false);
  });
  it('that it cannot after a head whose lines end in LF, but can after folded ones', () => {
    expect(reusable('HTTP/1.1 200 OK\nContent-Length: 2\n\nok')).to.equal(false);
    expect(reusable('HTTP/1.1 204 No\r\nA: b\n\r\n')).to.equal(false);
    expect(reusable('HTTP/1.1 204 No\r\nA: b\n c\r\n\r\n')).to.equal(true);
  });
  it('how long the origin keeps it', () => {
    const text = 'HTTP/1.1 200 OK\r\nKeep-Alive: idle-timeout=9, timeout=5\r\nContent-Length: 0\r\n\r\n';
    expect(readResponse([Buffer.from(text)]).head?.keepAliveSeconds).to.equal(5);
    expect(
      readResponse([Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')]).head?.keepAliveSeconds,
    ).to.equal(-1);
  });
  it('nothing that the next response on it would be held to', () => {
    let ends = 0;
    const parser = new Http1Parser({ responseHead() {}, responseBody() {}, responseEnd: () => ends++ });
    const long = `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\nA: ${'b'.repeat(20_000)}\r\n\r\n`;
    const responses = Math.max(maxInterimResponses, Math.ceil(maxHeadBytes / 20_000)) + 1;
    for (let i = 0; i < responses; i += 1) {
      parser.start('GET', false);
      expect(parser.feed(Buffer.from(long))).to.equal(null);
    }
    expect(ends).to.equal(responses);
  });
});
