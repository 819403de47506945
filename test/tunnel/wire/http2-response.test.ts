import { expect } from 'chai';
import { HeaderField } from '../../../src/tunnel/wire/hpack-static.ts';
import { readResponse, readResponseTrailers } from '../../../src/tunnel/wire/http2-response.ts';

function reading(...lines: readonly [name: string, value: string][]) {
  return readResponse(lines.map(([name, value]) => new HeaderField(name, value, 0)));
}

function headersOf(...lines: readonly [name: string, value: string][]): readonly string[] {
  const read = reading([':status', '200'], ...lines);
  if (read.kind !== 'response') throw new Error(read.why);
  return read.headers;
}

describe('HTTP/2 response head', () => {
  it('becomes status, length and the fields in order, repeated and empty ones too', () => {
    expect(
      reading(
        [':status', '404'],
        ['set-cookie', 'a'],
        ['content-length', '5'],
        ['set-cookie', 'b'],
        ['x', ''],
      ),
    ).to.deep.equal({
      kind: 'response',
      status: 404,
      headers: ['set-cookie', 'a', 'content-length', '5', 'set-cookie', 'b', 'x', ''],
      contentLength: 5,
    });
  });

  it('is read without what no response can carry, and without what concerns an HTTP/1.1 connection', () => {
    const left = headersOf(
      ['x-a', 'a\r\nb: c'],
      ['x-\n', 'a'],
      ['X-Upper', 'a'],
      ['connection', 'close'],
      ['transfer-encoding', 'chunked'],
      ['x-b', 'd'],
    );
    expect(left).to.deep.equal(['x-b', 'd']);
  });

  it('is read without blanks around a value, which Go lets a server send', () => {
    expect(headersOf(['content-type', ' text/html\t'], ['x', ' '])).to.deep.equal([
      'content-type',
      'text/html',
      'x',
      '',
    ]);
  });

  it('may say the same length twice', () => {
    expect(headersOf(['content-length', '5'], ['content-length', '5'])).to.deep.equal([
      'content-length',
      '5',
    ]);
  });

  const malformed: [title: string, lines: [string, string][]][] = [
    ['no status', [['x', 'y']]],
    [
      'two',
      [
        [':status', '200'],
        [':status', '200'],
      ],
    ],
    [
      'a status behind a field',
      [
        ['x', 'y'],
        [':status', '200'],
      ],
    ],
    ['a status of two digits', [[':status', '20']]],
    ['status 099', [[':status', '099']]],
    [
      'a pseudo field of requests',
      [
        [':status', '200'],
        [':method', 'GET'],
      ],
    ],
    [
      'a pseudo field of nobody',
      [
        [':status', '200'],
        [':x', 'y'],
      ],
    ],
    [
      'two lengths',
      [
        [':status', '200'],
        ['content-length', '5'],
        ['content-length', '6'],
      ],
    ],
    [
      'a length that is none',
      [
        [':status', '200'],
        ['content-length', '5, 5'],
      ],
    ],
  ];
  for (const [title, lines] of malformed) {
    it(`is malformed with ${title}`, () => {
      expect(reading(...lines).kind).to.equal('malformed');
    });
  }

  it('has trailers that are read in the same way', () => {
    const trailers = (...lines: readonly [string, string][]) =>
      readResponseTrailers(lines.map(([name, value]) => new HeaderField(name, value, 0)));
    expect(
      trailers(['grpc-status', '2'], ['grpc-message', 'no: '], ['x', 'a\nb'], ['content-length', '5']),
    ).to.deep.equal(['grpc-status', '2', 'grpc-message', 'no:']);
    expect(trailers([':status', '200'])).to.equal(null);
  });
});
