import { expect } from 'chai';
import { systemClock } from '../../src/time/clock.ts';
import { createCounts } from '../../src/tunnel/counts.ts';
import { createProxy, type TunnelProxy } from '../../src/tunnel/proxy.ts';
import { type EdgeLink, linkToEdge } from '../support/edge-link.ts';
import { ask } from '../support/edge-request.ts';
import { keptLog } from '../support/kept-log.ts';
import { tableTo } from '../support/route-to.ts';
import { type OriginScript, type ScriptedOrigin, scriptOrigin } from '../support/scripted-origin.ts';

describe('proxy over HTTP', () => {
  let proxy: TunnelProxy;
  let link: EdgeLink;
  let origin: ScriptedOrigin;

  async function serve(script: OriginScript): Promise<void> {
    origin = await scriptOrigin(script);
    proxy = createProxy({
      routes: tableTo([origin.port]),
      connectorId: '11111111-2222-4333-8444-555555555555',
      clock: systemClock,
      counts: createCounts(systemClock),
      log: keptLog().log,
    });
    link = await linkToEdge(proxy);
  }

  afterEach(async () => {
    link.close();
    proxy.destroy();
    await origin.stop();
  });

  it('gives the origin its request and the edge its answer', async () => {
    await serve(({ socket }) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello'));
    const answer = await ask(link.edge, '/x?y', { 'user-agent': 'test' });
    expect(answer.status).to.equal(200);
    expect(answer.body.toString()).to.equal('hello');
    expect(answer.originHeaders).to.deep.equal(['Content-Length', '5', 'X-A', 'b']);
    expect(origin.connections[0]?.received).to.equal(
      'GET /x?y HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: test\r\nConnection: keep-alive\r\n' +
        'Cf-Warp-Tag-Id: 11111111-2222-4333-8444-555555555555\r\n\r\n',
    );
  });
});
