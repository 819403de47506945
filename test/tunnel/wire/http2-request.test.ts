import { expect } from 'chai';
import { HeaderField } from '../../../src/tunnel/wire/hpack-static.ts';
import { isSendable, readTrailers } from '../../../src/tunnel/wire/http2-fields.ts';
import { readRequest } from '../../../src/tunnel/wire/http2-request.ts';

function fieldsOf(lines: readonly string[]): HeaderField[] {
  return lines.map((line) => {
    const colon = line.indexOf(':', 1);
    return new HeaderField(line.slice(0, colon), line.slice(colon + 1), 0);
  });
}

const pseudo = [':method:GET', ':scheme:https', ':authority:a.test', ':path:/'];

/** The outcome in one word: `request`, `malformed`, or the status of the answer. */
function verdict(lines: readonly string[], ended = true): string | number {
  const reading = readRequest(fieldsOf(lines), ended);
  return reading.kind === 'answer' ? reading.status : reading.kind;
}

describe('HTTP/2 request head', () => {
  it('becomes method, path, scheme, authority and the regular fields in order', () => {
    const reading = readRequest(fieldsOf([...pseudo, 'x-a:1', 'cookie:a=1', 'x-a:2', 'cookie:b=2']), true);
    expect(reading).to.deep.equal({
      kind: 'request',
      method: 'GET',
      path: '/',
      scheme: 'https',
      authority: 'a.test',
      headers: ['x-a', '1', 'cookie', 'a=1', 'x-a', '2', 'cookie', 'b=2'],
      ended: true,
      contentLength: -1,
    });
  });

  it('is read without blanks around the value of a regular field', () => {
    const reading = readRequest(fieldsOf([...pseudo, 'x-a: 1\t', 'cookie: ', 'x-b:1 2']), true);
    expect(reading).to.have.deep.property('headers', ['x-a', '1', 'cookie', '', 'x-b', '1 2']);
  });

  const authorities: [lines: string[], authority: string][] = [
    [[':method:GET', ':scheme:https', ':path:/', 'host:b.test'], 'b.test'],
    [[...pseudo, 'host:b.test'], 'a.test'],
    [[':method:GET', ':scheme:https', ':authority:', ':path:/', 'host:b.test'], 'b.test'],
    [[':method:GET', ':scheme:https', ':path:/', 'host:b.test', 'host:b.test'], 'b.test'],
    [[':method:GET', ':scheme:https', ':path:/'], ''],
    [[':method:GET', ':scheme:https', ':authority:[::1]:8080', ':path:/'], '[::1]:8080'],
  ];
  for (const [lines, authority] of authorities) {
    it(`with ${lines.join(' ')} is for ${JSON.stringify(authority)}`, () => {
      const reading = readRequest(fieldsOf(lines), true);
      if (reading.kind !== 'request') throw new Error(reading.kind);
      expect(reading.authority).to.equal(authority);
      expect(reading.headers).to.not.include('host');
    });
  }

  const cases: [title: string, expected: string | number, lines: string[], ended?: boolean][] = [
    ['te: trailers', 'request', [...pseudo, 'te:trailers']],
    ['path *', 'request', [':method:OPTIONS', ':scheme:https', ':path:*']],
    [
      'a path of strange characters',
      'request',
      [':method:GET', ':scheme:http', ':path://a/../b%2f?x=%zz|[ ]'],
    ],
    ['any token as method', 'request', [':method:M-SEARCH', ':scheme:https', ':path:/']],
    ['a content-length', 'request', [...pseudo, 'content-length:12'], false],
    [
      'the same content-length twice',
      'request',
      [...pseudo, 'content-length:12', 'content-length:12'],
      false,
    ],
    ['content-length 0 and no body', 'request', [...pseudo, 'content-length:0']],
    ['bytes above 127 in a value', 'request', [...pseudo, 'x:caf\u00e9']],
    ['TAB in a value', 'request', [...pseudo, 'x:a\tb']],

    ['connection', 400, [...pseudo, 'connection:close']],
    ['keep-alive', 400, [...pseudo, 'keep-alive:1']],
    ['proxy-connection', 400, [...pseudo, 'proxy-connection:close']],
    ['transfer-encoding', 400, [...pseudo, 'transfer-encoding:chunked'], false],
    ['upgrade', 400, [...pseudo, 'upgrade:h2c']],
    ['te other than trailers', 400, [...pseudo, 'te:trailers, deflate']],
    ['CONNECT', 501, [':method:CONNECT', ':authority:a.test:443']],

    ['no method', 'malformed', [':scheme:https', ':path:/']],
    ['no scheme', 'malformed', [':method:GET', ':path:/']],
    ['no path', 'malformed', [':method:GET', ':scheme:https']],
    ['two methods', 'malformed', [':method:GET', ...pseudo]],
    ['two schemes', 'malformed', [':scheme:https', ...pseudo]],
    ['two authorities', 'malformed', [':authority:a.test', ...pseudo]],
    ['two paths', 'malformed', [':path:/', ...pseudo]],
    ['a pseudo field behind a regular one', 'malformed', ['x:1', ...pseudo]],
    ['a pseudo field behind content-length', 'malformed', ['content-length:0', ...pseudo]],
    ['an unknown pseudo field', 'malformed', [...pseudo, ':protocol:websocket']],
    ['a response pseudo field', 'malformed', [...pseudo, ':status:200']],
    ['an empty path', 'malformed', [':method:GET', ':scheme:https', ':path:']],
    ['a path without /', 'malformed', [':method:GET', ':scheme:https', ':path:a']],
    ['a broken percent escape', 'malformed', [':method:GET', ':scheme:https', ':path:/%zz']],
    ['a method that smuggles', 'malformed', [':method:GET /x HTTP/1.1', ':scheme:https', ':path:/']],
    ['another scheme', 'malformed', [':method:GET', ':scheme:ftp', ':path:/']],
    ['@ in the authority', 'malformed', [':method:GET', ':scheme:https', ':authority:u@a.test', ':path:/']],
    ['@ in the host', 'malformed', [':method:GET', ':scheme:https', ':path:/', 'host:u@a.test']],
    ['a space in the authority', 'malformed', [':method:GET', ':scheme:https', ':authority:a b', ':path:/']],
    ['two different hosts', 'malformed', [':method:GET', ':scheme:https', ':path:/', 'host:a', 'host:b']],
    ['an upper-case name', 'malformed', [...pseudo, 'X-A:1']],
    ['a space in a name', 'malformed', [...pseudo, 'x a:1']],
    ['a line break in a name', 'malformed', [...pseudo, 'x\r\ny:1']],
    ['a line break in a value', 'malformed', [...pseudo, 'x:a\r\nb:c']],
    ['a lone CR in a value', 'malformed', [...pseudo, 'x:a\rb']],
    ['NUL in a value', 'malformed', [...pseudo, 'x:a\0b']],
    ['DEL in a value', 'malformed', [...pseudo, 'x:a\x7fb']],
    ['a blank before a path', 'malformed', [':method:GET', ':scheme:https', ':authority:a', ':path: /']],
    ['a blank behind a length', 'malformed', [...pseudo, 'content-length:1 ']],
    // cloudflared takes this for an ordinary request: it does not cut the blank off.
    [
      'a blank before what the stream is for',
      'malformed',
      [...pseudo, 'cf-cloudflared-proxy-connection-upgrade: control-stream'],
    ],
    ['a blank for the source of a TCP stream', 'malformed', [...pseudo, 'cf-cloudflared-proxy-src: ']],
    ['a line break behind a value', 'malformed', [...pseudo, 'x:a \n']],
    ['a line break in the path', 'malformed', [':method:GET', ':scheme:https', ':path:/a\nb']],
    ['two content-lengths', 'malformed', [...pseudo, 'content-length:1', 'content-length:2'], false],
    ['a content-length that is no number', 'malformed', [...pseudo, 'content-length:+1'], false],
    ['a content-length that is a list', 'malformed', [...pseudo, 'content-length:1, 1'], false],
    ['a content-length without a body', 'malformed', [...pseudo, 'content-length:1']],
  ];
  for (const [title, expected, lines, ended] of cases) {
    it(`with ${title}: ${expected}`, () => expect(verdict(lines, ended)).to.equal(expected));
  }

  it('that is too large is answered 431', () => {
    expect(readRequest(null, true)).to.include({ kind: 'answer', status: 431 });
  });

  it('is judged the same when its fields come out of a table a second time', () => {
    const fields = fieldsOf([...pseudo, 'x:a\nb']);
    expect(readRequest(fields, true).kind).to.equal('malformed');
    expect(readRequest(fields, true).kind).to.equal('malformed');
  });
});

describe('HTTP/2 trailers', () => {
  it('are regular fields', () => {
    expect(readTrailers(fieldsOf(['grpc-status:0', 'x:1']))).to.deep.equal(['grpc-status', '0', 'x', '1']);
  });

  it('lose what frames a message', () => {
    expect(
      readTrailers(fieldsOf(['content-length:5', 'transfer-encoding:chunked', 'host:a', 'te:x'])),
    ).to.deep.equal([]);
  });

  for (const line of [':path:/', 'X:1', 'x:a\nb', ':status:200']) {
    it(`are refused with ${JSON.stringify(line)}`, () =>
      expect(readTrailers(fieldsOf([line]))).to.equal(null));
  }

  it('are refused when they are too large', () => expect(readTrailers(null)).to.equal(null));
});

describe('a header that is to be sent', () => {
  const unsendable: [name: string, value: string][] = [
    ['x', 'a\r\nb'],
    ['x', 'a\u010ab'],
    ['x', 'a\0'],
    ['x\n', 'a'],
    ['X', 'a'],
    ['', 'a'],
    [':status', '200'],
  ];
  for (const [name, value] of unsendable) {
    it(`is not ${JSON.stringify(name)}: ${JSON.stringify(value)}`, () => {
      expect(isSendable(name, value)).to.equal(false);
    });
  }

  it('may hold any other byte', () => expect(isSendable('x-a', 'caf\u00e9\t"~')).to.equal(true));
});
