import { expect } from 'chai';
import { eventually } from '../support/eventually.ts';
import { rawBlock, rawData, rawFrame, rawHeaders } from '../support/raw-frames.ts';
import { type RawProxied, rawProxied } from '../support/raw-proxied.ts';

/** What is behind another request, as it would stand in the bytes of one. */
const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n';

const head = (fields: Readonly<Record<string, string>> = {}, more: readonly string[] = []): Buffer => {
  const given = { ':method': 'POST', ':scheme': 'https', ':authority': 'app.example.com', ':path': '/in' };
  return rawBlock(...Object.entries({ ...given, ...fields }).flat(), ...more);
};

/** RFC 9112 section 11.2, RFC 9113 sections 8.1.1, 8.2.1 and 10.3: with the bytes that no HTTP/2 library would send. */
describe('a request that would be two at the origin', () => {
  let here: RawProxied;
  beforeEach(async () => {
    here = await rawProxied(({ socket }, request) => {
      const path = request.split(' ', 2)[1]!;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`);
    });
  });
  afterEach(() => here.stop());

  /** The connection to the edge lives, and the next request gets the answer to itself. */
  const nextIsAnswered = async (): Promise<void> => {
    here.edge.send(rawHeaders(101, head({ ':method': 'GET', ':path': '/next' })));
    const body = await eventually('the next answer', () => here.edge.on(101, 0)[0]);
    expect(body.payload.toString()).to.equal('/next');
    expect(here.edge.on(0, 7)).to.deep.equal([]);
    const received = here.origin.connections.map((connection) => connection.received).join('');
    expect(received).not.to.match(/smuggled|injected/i);
  };

  const refusedHeads: [title: string, block: Buffer][] = [
    ...[
      ...['b\r\nx-injected: 1', 'b\nx-injected: 1', 'b\rx-injected: 1', 'b\0', `b\r\n\r\n${smuggled}`],
      // Blanks around a value are taken away, and nothing else with them.
      ...[' b\r\nx-injected: 1 ', '\r\n b', 'b \n', '\t\r\n\t', ' \0 b', ' b\v', '\fb'],
    ].map((value): [string, Buffer] => [`a value ${JSON.stringify(value)}`, head({}, ['x-a', value])]),
    ...['transfer-encoding', 'connection', 'upgrade', 'te', 'host'].map((name): [string, Buffer] => [
      `blanks around the value of ${name}`,
      head({}, [name, ' trailers\t']),
    ]),
    ...['content-length', ':method', ':scheme', ':authority', ':path'].map((name): [string, Buffer] => {
      const value = { ':method': 'POST', ':scheme': 'https', ':path': '/in', 'content-length': '3' }[name];
      return [`a blank behind the value of ${name}`, head({ [name]: `${value ?? 'app.example.com'} ` })];
    }),
    ...['x-a\r\nx-injected', 'x-a: 1\r\nx-injected', 'x a', 'x-a:', 'X-A', 'x\0', '', 'x-\xe9', '\nx'].map(
      (name): [string, Buffer] => [`a name ${JSON.stringify(name)}`, head({}, [name, 'v'])],
    ),
    ...[
      ...[
        '/ HTTP/1.1\r\nx-injected: 1\r\n',
        '/\nx',
        '/\0',
        '/?q HTTP/1.1\r\n\r\n',
        '/?a b',
        '/?a\tb',
        '/%zz',
        '/%4',
      ],
      ...['in', '', 'http://app.example.com/in', `/\r\n\r\n${smuggled}`],
    ].map((path): [string, Buffer] => [`a path ${JSON.stringify(path)}`, head({ ':path': path })]),
    ...[
      'app.example.com\r\nx-injected: 1',
      'app.example.com\n',
      'app.example.com x',
      'a@app.example.com',
      'app.example.com/x',
      'a\0',
    ].map((name): [string, Buffer] => [`an authority ${JSON.stringify(name)}`, head({ ':authority': name })]),
    ...[`GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\nGET`, 'GET /smuggled', 'GE\nT', 'G\0', '', 'P(ST'].map(
      (method): [string, Buffer] => [`a method ${JSON.stringify(method)}`, head({ ':method': method })],
    ),
    ...['+3', '-1', '0x3', '3, 3', '3 3', '3.0', '1e1', '', '9'.repeat(20)].map(
      (length): [string, Buffer] => [
        `a length ${JSON.stringify(length)}`,
        head({}, ['content-length', length]),
      ],
    ),
    ['two lengths', head({}, ['content-length', '3', 'content-length', '4'])],
    ['two hosts', head({}, ['host', 'a', 'host', 'b'])],
    ['a scheme with a line break', head({ ':scheme': 'https\r\nx-injected: 1' })],
    ['a pseudo-header behind a header', head({}, ['x-a', 'b', ':path', '/smuggled'])],
    ['an unknown pseudo-header', head({}, [':smuggled', '1'])],
  ];
  for (const [title, block] of refusedHeads) {
    it(`is refused with ${title}, and no origin hears of it`, async () => {
      here.edge.send(rawHeaders(1, block, false), rawData(1, Buffer.from(smuggled), true));
      await here.edge.resetOf(1);
      expect(here.edge.on(1, 1)).to.deep.equal([]);
      expect(here.origin.connections).to.deep.equal([]);
      await nextIsAnswered();
    });
  }

  for (const [name, value] of [
    ['transfer-encoding', 'chunked'],
    ['transfer-encoding', 'identity'],
    ['connection', 'close, x-a'],
    ['keep-alive', '1'],
    ['proxy-connection', 'x'],
    ['upgrade', 'h2c'],
    ['te', 'chunked'],
  ] as const) {
    it(`is answered 400 with ${name}: ${value}, and no origin hears of it`, async () => {
      const block = head({}, [name, value, 'content-length', '5']);
      here.edge.send(rawHeaders(1, block, false), rawData(1, Buffer.from('0\r\n\r\n'), true));
      expect(await here.edge.status(1)).to.equal('400');
      expect(here.origin.connections).to.deep.equal([]);
      // What the answer put into the tables is where both sides expect it.
      here.edge.send(rawHeaders(101, head({ ':method': 'GET', ':path': '/next' })));
      await eventually('the next answer', () => here.edge.on(101, 0)[0]);
    });
  }

  const bodies: [title: string, length: string, body: string][] = [
    ['longer than it says', '3', `abc${smuggled}`],
    ['longer than nothing', '0', smuggled],
    ['shorter than it says', '300', smuggled],
  ];
  for (const [title, length, body] of bodies) {
    it(`is refused with a body ${title}, and its connection to the origin carries nothing more`, async () => {
      here.edge.send(rawHeaders(1, head({}, ['content-length', length]), false));
      if (length !== '0') await eventually('the head', () => here.origin.connections[0]?.requests === 1);
      here.edge.send(rawData(1, Buffer.from(body), true));
      await here.edge.resetOf(1);
      const [first] = here.origin.connections;
      if (first !== undefined && length !== '0')
        await eventually('the end of its connection', () => first.closed);
      here.edge.send(rawHeaders(101, head({ ':method': 'GET', ':path': '/next' })));
      const next = await eventually('the next answer', () => here.edge.on(101, 0)[0]);
      expect(next.payload.toString()).to.equal('/next');
      // What is missing at its end is all that the last one can have: its text is in the body, where it belongs.
      const others =
        title === 'shorter than it says' ? here.origin.connections.slice(1) : here.origin.connections;
      expect(others.map(({ received }) => received).join('')).not.to.contain('/smuggled');
    });
  }

  it('in a body without a length stays in its chunk, whatever it looks like', async () => {
    const body = `0\r\n\r\n${smuggled}`;
    here.edge.send(rawHeaders(1, head(), false), rawData(1, Buffer.from(body), true));
    await eventually('the answer', () => here.edge.on(1, 0).length > 0);
    const framed = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    await eventually('the body', () => here.origin.connections[0]?.received.endsWith(framed));
  });

  it('in its trailers is refused, and the origin never has a whole request', async () => {
    here.edge.send(rawHeaders(1, head({}, ['trailer', 'x-sum']), false), rawData(1, Buffer.from('a')));
    await eventually('the body', () => here.origin.connections[0]?.received.endsWith('1\r\na\r\n'));
    here.edge.send(rawFrame(1, 5, 1, rawBlock('x-sum', `1\r\n\r\n${smuggled}`)));
    await here.edge.resetOf(1);
    await eventually('the end of its connection', () => here.origin.connections[0]?.closed);
    await nextIsAnswered();
  });

  it('is one whose values have no blanks around them, in its trailers neither', async () => {
    const fields = ['x-a', '\t b\tc ', 'cookie', ' a=1', 'cookie', 'b=2\t', 'trailer', ' x-sum '];
    here.edge.send(rawHeaders(1, head({}, fields), false), rawData(1, Buffer.from('a')));
    const trailers = rawBlock('x-sum', ' 1\t', 'x-injected', ' 1', 'transfer-encoding', 'chunked');
    here.edge.send(rawFrame(1, 5, 1, trailers));
    await eventually('its end', () => here.origin.connections[0]?.received.endsWith('0\r\nX-Sum: 1\r\n\r\n'));
    const lines = here.origin.connections[0]!.received.split('\r\n');
    expect(lines).to.include.members(['X-A: b\tc', 'Cookie: a=1; b=2', 'Trailer: x-sum']);
    await nextIsAnswered();
  });

  it('is one, for the authority, when a host header says something else', async () => {
    here.edge.send(rawHeaders(1, head({ ':method': 'GET' }, ['host', 'other.example.com'])));
    await eventually('the answer', () => here.edge.on(1, 0).length > 0);
    const lines = here.origin.connections[0]!.received.split('\r\n');
    expect(lines.filter((line) => /^host:/i.test(line))).to.deep.equal(['Host: app.example.com']);
  });

  it('is sent to no WebSocket that the application has not agreed to', async () => {
    const upgrade = ['cf-cloudflared-proxy-connection-upgrade', 'websocket'];
    here.edge.send(
      rawHeaders(1, head({ ':method': 'GET' }, upgrade), false),
      rawData(1, Buffer.from(smuggled)),
    );
    // The application declines: the answer is an ordinary one.
    await eventually('the answer', () => here.edge.on(1, 0).length > 0);
    await nextIsAnswered();
  });
});
