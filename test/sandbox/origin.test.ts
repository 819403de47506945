import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { type SandboxOrigin, startOrigin } from '../../src/sandbox/origin.ts';

describe("the sandbox's origin", () => {
  let origin: SandboxOrigin;
  beforeEach(async () => {
    origin = await startOrigin();
  });
  afterEach(() => origin.stop());

  it('says on its page what it saw', async () => {
    const page = await (await fetch(`${origin.url}/some/where?x`, { headers: { 'x-mine': 'yes' } })).text();
    expect(page)
      .to.contain('path: /some/where?x')
      .and.contain('method: GET')
      .and.match(/x-mine: yes/i);
  });

  it('echoes method, headers and body', async () => {
    const answer = await fetch(`${origin.url}/echo`, { method: 'PUT', body: 'a body' });
    expect(answer.headers.get('x-echo-method')).to.equal('PUT');
    expect(await answer.text()).to.equal('a body');
  });

  it('answers with the bytes, the status and the chunks that are asked for', async () => {
    expect((await (await fetch(`${origin.url}/bytes?n=200000`)).arrayBuffer()).byteLength).to.equal(200_000);
    expect((await fetch(`${origin.url}/status?code=418`)).status).to.equal(418);
    expect(await (await fetch(`${origin.url}/stream?chunks=2&delay=1`)).text()).to.equal(
      'chunk 1 of 2\nchunk 2 of 2\n',
    );
    expect(await (await fetch(`${origin.url}/sse?events=1&delay=1`)).text()).to.contain(
      'data: {"event":1}\n\n',
    );
    expect(await (await fetch(`${origin.url}/slow?delay=1`)).text()).to.equal('late but here\n');
    expect(await (await fetch(`${origin.url}/headers`)).json()).to.include('host');
    expect(await (await fetch(`${origin.url}/trailers`)).text()).to.equal('a body, and what follows it\n');
  });

  it('names the hash of an upload', async () => {
    const body = Buffer.alloc(300_000, 'x');
    const answer = await (await fetch(`${origin.url}/upload`, { method: 'POST', body })).json();
    const sha256 = createHash('sha256').update(body).digest('hex');
    expect(answer).to.deep.equal({ length: 300_000, sha256, trailers: [] });
  });

  it('echoes WebSocket messages and takes the first subprotocol', async () => {
    const socket = new WebSocket(`${origin.url.replace('http', 'ws')}/ws`, ['one', 'two']);
    await new Promise((resolve) => socket.once('open', resolve));
    const echoed = new Promise((resolve) => socket.once('message', (data) => resolve(String(data))));
    socket.send('hello');
    expect(await echoed).to.equal('hello');
    expect(socket.protocol).to.equal('one');
    socket.close();
    await new Promise((resolve) => socket.once('close', resolve));
  });

  it('stops also while a page is streaming', async () => {
    const streaming = await fetch(`${origin.url}/stream?chunks=1000&delay=1000`);
    const ended = streaming.text().catch(() => 'cut');
    await origin.stop();
    expect(await ended).to.equal('cut');
  });
});
