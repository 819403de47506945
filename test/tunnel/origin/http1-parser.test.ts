import { createServer, request } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { maxHeaderLines } from '../../../src/tunnel/origin/http1-head.ts';
import {
  maxChunkLineBytes,
  maxHeadBytes,
  maxInterimResponses,
  maxLineBytes,
} from '../../../src/tunnel/origin/http1-parser.ts';
import { cutAt, cuts } from '../../support/arbitrary-cuts.ts';
import { type Reading, readResponse, type SeenResponse } from '../../support/http1-reading.ts';

/** More of them than a head may have bytes. */
const longestChunkLines = `1;${'x'.repeat(maxChunkLineBytes - 2)}\r\nx\r\n`.repeat(
  maxHeadBytes / maxChunkLineBytes,
);

function readText(text: string, reading?: Reading): SeenResponse {
  return readResponse([Buffer.from(text, 'latin1')], reading);
}

describe('HTTP/1.1 response parser', () => {
  describe('reads', () => {
    const cases: [
      title: string,
      text: string,
      reading: Reading,
      body: string,
      headers: string[],
      trailers: string[],
    ][] = [
      [
        'a sized body',
        'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
        {},
        'hello',
        ['Content-Length', '5'],
        [],
      ],
      [
        'blanks before colons, and not as part of a name',
        'HTTP/1.1 200 OK\r\nA : b\r\nC \t: d : e\r\nContent-Length: 2\r\n\r\nok',
        {},
        'ok',
        ['A', 'b', 'C', 'd : e', 'Content-Length', '2'],
        [],
      ],
      [
        'a later HTTP/1 with two blanks before its status, in chunks whose sizes are padded with zeros',
        `HTTP/1.2  200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${'5'.padStart(16, '0')}\r\nhello\r\n${'0'.repeat(16)}\r\n\r\n`,
        {},
        'hello',
        ['Transfer-Encoding', 'chunked'],
        [],
      ],
      ['no reason', 'HTTP/1.1 200\r\ncontent-length:0\r\n\r\n', {}, '', ['content-length', '0'], []],
      [
        'chunks with an extension and trailers',
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;x="y"\r\nhello\r\n00A\r\n, you ther\r\n0\r\nA: b\r\nc:\r\n\r\n',
        {},
        'hello, you ther',
        ['Transfer-Encoding', 'Chunked'],
        ['A', 'b', 'c', ''],
      ],
      [
        'a body until the end',
        'HTTP/1.1 200 OK\r\nA: b\r\n\r\nall of it',
        { closes: true },
        'all of it',
        ['A', 'b'],
        [],
      ],
      [
        'a response to HEAD',
        'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n',
        { method: 'HEAD' },
        '',
        ['Content-Length', '5'],
        [],
      ],
      ['a 204', 'HTTP/1.1 204 No Content\r\n\r\n', {}, '', [], []],
      [
        'a 304 with a length',
        'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n',
        {},
        '',
        ['Content-Length', '9'],
        [],
      ],
      [
        'an answer after two informational ones',
        'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\nContent-Length: 7\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
        {},
        'ok',
        ['Content-Length', '2'],
        [],
      ],
      [
        'chunk sizes with blanks behind them, as old servers send them',
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5   \r\nhello\r\n1 \t;a=b\r\n!\r\n0 \r\n\r\n',
        {},
        'hello!',
        ['Transfer-Encoding', 'chunked'],
        [],
      ],
      [
        'an upgrade and the bytes behind it',
        'HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n\x81\x05',
        { upgrade: true, closes: true },
        '\x81\x05',
        ['Upgrade', 'websocket'],
        [],
      ],
      [
        'an upgrade that says that it has no body',
        'HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n\x81\x05',
        { upgrade: true, closes: true },
        '\x81\x05',
        ['Upgrade', 'websocket', 'Content-Length', '0'],
        [],
      ],
      [
        'a line and lines of chunks that are as long as they may be',
        `HTTP/1.1 200 OK\r\nA: ${'b'.repeat(maxLineBytes - 3)}\r\nTransfer-Encoding: chunked\r\n\r\n${longestChunkLines}0\r\n\r\n`,
        {},
        'x'.repeat(maxHeadBytes / maxChunkLineBytes),
        ['A', 'b'.repeat(maxLineBytes - 3), 'Transfer-Encoding', 'chunked'],
        [],
      ],
      [
        'repeated, empty and odd headers as they are',
        'HTTP/1.1 200 OK\r\nsEt-cOOkie: a=1\r\nSet-Cookie: b=2\r\nX-Empty:\r\nX-Blank: \t \r\nX-Latin: \xe9\t\xff \r\nContent-Length: 0\r\n\r\n',
        {},
        '',
        [
          'sEt-cOOkie',
          'a=1',
          'Set-Cookie',
          'b=2',
          'X-Empty',
          '',
          'X-Blank',
          '',
          'X-Latin',
          '\xe9\t\xff',
          'Content-Length',
          '0',
        ],
        [],
      ],
      [
        'a folded value as one, joined by single spaces',
        'HTTP/1.1 200 OK\r\nA:\r\n b \r\n\t \r\n\tc: \xe9\r\nD: e\r\n \r\nContent-Length: 2\r\n\r\nok',
        {},
        'ok',
        ['A', 'b c: \xe9', 'D', 'e', 'Content-Length', '2'],
        [],
      ],
      [
        'what nginx makes of an add_header over several lines',
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Security-Policy: \n    default-src 'self';\n    img-src https://a.example.com;\n  \r\nServer: nginx\r\n\r\nok",
        {},
        'ok',
        [
          'Content-Length',
          '2',
          'Content-Security-Policy',
          "default-src 'self'; img-src https://a.example.com;",
          'Server',
          'nginx',
        ],
        [],
      ],
      [
        'a script whose lines all end in LF',
        'HTTP/1.1 200 OK\nA: b\nContent-Length: 2\n\nok',
        {},
        'ok',
        ['A', 'b', 'Content-Length', '2'],
        [],
      ],
      [
        'a script behind a server that has begun in CR LF',
        'HTTP/1.0 200 OK\r\nServer: a\r\nContent-Type: text/html\n\nContent-Length: 2\r\n\r\n',
        { closes: true },
        'Content-Length: 2\r\n\r\n',
        ['Server', 'a', 'Content-Type', 'text/html'],
        [],
      ],
      [
        'a Content-Length said twice once',
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok',
        {},
        'ok',
        ['Content-Length', '2'],
        [],
      ],
    ];
    for (const [title, text, reading, body, headers, trailers] of cases) {
      it(title, () => {
        const seen = readText(text, reading);
        expect(seen.failure).to.equal(null);
        expect(seen.body).to.equal(body);
        expect(seen.head?.headers).to.deep.equal(headers);
        expect(seen.head?.bodyless).to.equal(body === '');
        expect(seen.trailers).to.deep.equal(trailers);
      });
    }
  });

  describe('refuses', () => {
    const ok = 'HTTP/1.1 200 OK\r\n';
    const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n`;
    const cases: [title: string, text: string, code: string, reading?: Reading][] = [
      ['what is not HTTP', 'SSH-2.0-OpenSSH\r\n\r\n', 'status-line'],
      ['HTTP/2 in text', 'HTTP/2.0 200 OK\r\n\r\n', 'status-line'],
      ['HTTP/0.9', '<html>\r\n\r\n', 'status-line'],
      ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n', 'status-line'],
      ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n', 'status-line'],
      ['an empty line first', `\r\n${ok}\r\n`, 'status-line'],
      ['a length before a line that ends in LF', `${ok}Content-Length: 1\r\nA: b\n\r\n`, 'line-ending'],
      ['a length behind a line that ends in LF', `${ok}A: b\nContent-Length: 1\r\n\r\n`, 'line-ending'],
      ['a length in such a line', `${ok}A: b\r\nContent-Length: 1\n\r\n`, 'line-ending'],
      ['a length where only the head ends in LF', `${ok}Content-Length: 1\r\n\n`, 'line-ending'],
      [
        'a length behind a status line that ends in LF',
        'HTTP/1.1 200 OK\nContent-Length: 1\r\n\r\n',
        'line-ending',
      ],
      [
        'chunks behind a line that ends in LF',
        `${ok}A: b\nTransfer-Encoding: chunked\r\n\r\n`,
        'line-ending',
      ],
      [
        'an early hint in lines that end differently, which may hold what follows it',
        `HTTP/1.1 103 Early Hints\r\nLink: a\n\n${ok}Content-Length: 0\r\n\r\n`,
        'line-ending',
      ],
      [
        'an upgrade in lines that end differently',
        'HTTP/1.1 101 Switching\r\nUpgrade: websocket\n\r\n',
        'line-ending',
        { upgrade: true },
      ],
      ['a CR inside a line', `${ok}A: b\rc\r\n\r\n`, 'header'],
      ['a NUL in a value', `${ok}A: b\0\r\n\r\n`, 'header'],
      ['a folded line before any other', `${ok} A: b\r\n\r\n`, 'header'],
      ...[
        ...[
          'Content-Length: 1',
          'Transfer-Encoding: chunked',
          'Connection: x',
          'Upgrade: x',
          'Keep-Alive: x',
        ],
        ...['Proxy-Connection: x', 'Trailer: x', 'Cf-Int-A: b', 'Cf-Cloudflared-A: b', 'Cf-Proxy-A: b'],
      ].flatMap((line): [string, string, string][] => [
        [`${line}, folded`, `${ok}${line}\r\n x\r\n\r\n`, 'header'],
        [`a line folded into ${line}`, `${ok}A: b\r\n ${line}\r\n\r\n`, 'header'],
        [`a blank before the colon of ${line}`, `${ok}${line.replace(':', ' :')}\r\n\r\n`, 'header'],
        [`a tab there in trailers: ${line}`, `${chunked}0\r\n${line.replace(':', '\t:')}\r\n\r\n`, 'header'],
      ]),
      [
        'a length folded behind one said twice',
        `${ok}A: b\r\nContent-Length: 1\r\nContent-Length: 1\r\n 1\r\n\r\n`,
        'header',
      ],
      ['a length with blanks, folded in', `${ok}A: b\n\t Content-Length\t : 1\r\n\r\n`, 'header'],
      ['a control character in a folded line', `${ok}A: b\r\n c\0\r\n\r\n`, 'header'],
      ['folded trailers', `${chunked}0\r\nA: b\r\n c\r\n\r\n`, 'header'],
      ['too many folded lines', `${ok}A: b\r\n${' c\r\n'.repeat(maxHeaderLines + 1)}\r\n`, 'limit'],
      ['a name of blanks', `${ok}A: b\r\n \t: c\0\r\n\r\n`, 'header'],
      ['a space in a name', `${ok}A B: b\r\n\r\n`, 'header'],
      ['a line without a colon', `${ok}A\r\n\r\n`, 'header'],
      ['an empty name', `${ok}: b\r\n\r\n`, 'header'],
      ['both framings', `${ok}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`, 'transfer-encoding'],
      ['two lengths', `${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`, 'content-length'],
      ['lengths in a list', `${ok}Content-Length: 1, 1\r\n\r\n`, 'content-length'],
      ['a negative length', `${ok}Content-Length: -1\r\n\r\n`, 'content-length'],
      ['a signed length', `${ok}Content-Length: +1\r\n\r\n`, 'content-length'],
      ['a hexadecimal length', `${ok}Content-Length: 0x1\r\n\r\n`, 'content-length'],
      ['an empty length', `${ok}Content-Length:\r\n\r\n`, 'content-length'],
      ['an endless length', `${ok}Content-Length: 9999999999999999\r\n\r\n`, 'content-length'],
      ['another coding before chunked', `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`, 'transfer-encoding'],
      ['identity', `${ok}Transfer-Encoding: identity\r\n\r\n`, 'transfer-encoding'],
      [
        'chunked twice',
        `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
        'transfer-encoding',
      ],
      ['chunked in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', 'transfer-encoding'],
      ['a chunk size with a sign', `${chunked}+5\r\nhello\r\n`, 'chunk'],
      ['a chunk size with 0x', `${chunked}0x5\r\nhello\r\n`, 'chunk'],
      ['a chunk size behind a space', `${chunked} 5\r\nhello\r\n`, 'chunk'],
      ['two chunk sizes', `${chunked}5 5\r\nhello\r\n`, 'chunk'],
      ['an empty chunk size', `${chunked}\r\nhello\r\n`, 'chunk'],
      ['an enormous chunk size', `${chunked}${'f'.repeat(14)}\r\n`, 'chunk'],
      ['a chunk size that ends in LF', `${chunked}5\nhello\r\n`, 'line-ending'],
      ['a chunk longer than its size', `${chunked}5\r\nhelloX\r\n`, 'chunk'],
      ['a chunk ended by LF', `${chunked}5\r\nhello\n0\r\n\r\n`, 'line-ending'],
      ['an unasked upgrade', 'HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n', 'upgrade'],
      ['an upgrade to nothing', 'HTTP/1.1 101 Switching\r\n\r\n', 'upgrade', { upgrade: true }],
      ['bytes after the response', `${ok}Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n`, 'excess'],
      ['a body after 204', 'HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nno', 'excess'],
      ['an end inside the head', `${ok}A: b`, 'truncated', { closes: true }],
      ['an end inside a sized body', `${ok}Content-Length: 3\r\n\r\nok`, 'truncated', { closes: true }],
      ['an end inside chunks', `${chunked}5\r\nhel`, 'truncated', { closes: true }],
      ['an end before the last chunk', `${chunked}2\r\nok\r\n`, 'truncated', { closes: true }],
      ['an endless line', `${ok}A: ${'b'.repeat(maxLineBytes)}\r\n\r\n`, 'limit'],
      [
        'an endless head',
        `${ok}${`A: ${'b'.repeat(9_000)}\r\n`.repeat(maxHeadBytes / 9_000 + 1)}\r\n`,
        'limit',
      ],
      ['too many headers', `${ok}${'A: b\r\n'.repeat(maxHeaderLines + 1)}\r\n`, 'limit'],
      ['too many trailers', `${chunked}0\r\n${'A: b\r\n'.repeat(maxHeaderLines + 1)}\r\n`, 'limit'],
      ['an endless row of zeros', `${chunked}${'0'.repeat(maxChunkLineBytes + 2)}`, 'limit'],
      ['an endless chunk extension', `${chunked}5;${'x'.repeat(maxChunkLineBytes)}\r\nhello\r\n`, 'limit'],
      [
        'endless informational answers',
        'HTTP/1.1 100 Continue\r\n\r\n'.repeat(maxInterimResponses + 1),
        'limit',
      ],
    ];
    for (const [title, text, code, reading] of cases) {
      it(title, () => expect(readText(text, reading).failure).to.equal(code));
      it(`${title}, byte by byte`, () => {
        if (text.length > 10_000)
          return expect(readResponse(pieces(text, 1_000), reading).failure).to.equal(code);
        return expect(readResponse(pieces(text, 1), reading).failure).to.equal(code);
      });
    }
  });

  it('gives the same however the bytes are cut', () => {
    fc.assert(
      fc.property(responses, cuts, fc.boolean(), (text, places, closes) => {
        const bytes = Buffer.from(text, 'latin1');
        expect(readResponse(cutAt(bytes, places), { closes })).to.deep.equal(
          readResponse([bytes], { closes }),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('reads a head whose values are folded, or whose lines end in LF, as if it were not so', () => {
    fc.assert(
      fc.property(
        foldedLines,
        fc.constantFrom('\r\n', '\n'),
        fc.constantFrom(' ', '\t', ' \t '),
        cuts,
        (lines, end, blanks, places) => {
          const write = (eol: string, fold: string): string =>
            [
              `HTTP/1.1 200 OK`,
              ...lines.map(([name, parts]) => `${name}: ${parts.join(fold)}`),
              'Content-Length: 5',
              '',
              'hello',
            ].join(eol);
          const strict = readText(write('\r\n', ' '));
          expect(strict.body).to.equal('hello');
          for (const foldEnd of ['\r\n', '\n']) {
            const odd = Buffer.from(write(end, foldEnd + blanks), 'latin1');
            expect(readResponse(cutAt(odd, places))).to.deep.equal(strict);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('answers any bytes with events or a failure, never by throwing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), cuts, fc.boolean(), (bytes, places, headFirst) => {
        const head = headFirst ? 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n' : '';
        const all = Buffer.concat([Buffer.from(head), bytes]);
        expect(readResponse(cutAt(all, places), { closes: true })).to.deep.equal(
          readResponse([all], { closes: true }),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('reads what node:http writes as node:http reads it', async () => {
    const written: Buffer[] = [];
    const web = createServer((asked, response) => {
      response.setHeader('Set-Cookie', ['a=1', 'b=2']);
      response.setHeader('X-Empty', '');
      if (asked.url === '/chunked') {
        response.setHeader('Trailer', 'X-Sum');
        response.write('one');
        response.write('two'.repeat(30_000));
        response.addTrailers({ 'X-Sum': '12' });
        response.end();
      } else response.end('sized'.repeat(10_000));
    });
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    const { connect } = await import('node:net');
    const tap = createTcpServer((socket) => {
      const onward = connect((web.address() as AddressInfo).port, '127.0.0.1');
      onward.on('data', (chunk) => written.push(chunk));
      socket.pipe(onward).pipe(socket);
    });
    await new Promise<void>((resolve) => tap.listen(0, '127.0.0.1', resolve));
    try {
      for (const path of ['/chunked', '/sized']) {
        written.length = 0;
        const oracle = await new Promise<{ headers: string[]; body: string; trailers: string[] }>(
          (resolve) => {
            request({ port: (tap.address() as AddressInfo).port, path, agent: false }, (response) => {
              let body = '';
              response.setEncoding('latin1').on('data', (text) => {
                body += text;
              });
              response.on('end', () => {
                resolve({ headers: response.rawHeaders, body, trailers: response.rawTrailers });
              });
            }).end();
          },
        );
        const seen = readResponse(written);
        expect(seen.failure).to.equal(null);
        expect(seen.head?.headers).to.deep.equal(oracle.headers);
        expect(seen.body).to.equal(oracle.body);
        expect(seen.trailers).to.deep.equal(oracle.trailers);
      }
    } finally {
      tap.close();
      web.close();
    }
  });
});

function pieces(text: string, size: number): Buffer[] {
  const bytes = Buffer.from(text, 'latin1');
  const cut: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) cut.push(bytes.subarray(at, at + size));
  return cut;
}

/** Headers that say nothing of framing, each with the pieces of its value. */
const foldedLines = fc.array(
  fc.tuple(
    fc.constantFrom('A', 'Set-Cookie', 'Content-Security-Policy'),
    fc.array(fc.constantFrom('b', "default-src 'self';", 'https://a.example.com', 'c: d', '\xe9'), {
      minLength: 1,
      maxLength: 4,
    }),
  ),
  { maxLength: 4 },
);

/** Mostly good responses with something wrong here and there. */
const lineEnd = fc.constantFrom('\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r');
const headerLine = fc.constantFrom(
  'A: b',
  'Set-Cookie: c=d; e',
  'X:',
  ' folded',
  'Content-Length: 5',
  'Content-Length: 6',
  'Transfer-Encoding: chunked',
  'Connection: close',
  'Keep-Alive: timeout=3',
  `Long: ${'x'.repeat(300)}`,
);
const body = fc.constantFrom(
  '',
  'hello',
  '5\r\nhello\r\n0\r\n\r\n',
  '5\r\nhello\r\n0\r\nT: u\r\n\r\n',
  '3\r\nabc\r\n2\r\n',
  'zz',
);
const responses = fc
  .tuple(
    fc.constantFrom(
      'HTTP/1.1 200 OK',
      'HTTP/1.0 200 OK',
      'HTTP/1.1 204 No',
      'HTTP/1.1 100 Continue',
      'HTTP/9',
    ),
    fc.array(fc.tuple(headerLine, lineEnd), { maxLength: 5 }),
    lineEnd,
    lineEnd,
    body,
  )
  .map(([status, lines, statusEnd, headEnd, rest]) => {
    return `${status}${statusEnd}${lines.map((line) => line.join('')).join('')}${headEnd}${rest}`;
  });
