import { expect } from 'chai';
import { systemClock } from '../../../src/time/clock.ts';
import { Http2OriginSession } from '../../../src/tunnel/origin/http2-origin-session.ts';
import { type ConnectionToOrigin, connectionToOrigin, postOn } from '../../support/connection-to-origin.ts';
import { eventually } from '../../support/eventually.ts';
import { rawSettings } from '../../support/raw-frames.ts';

describe('an HTTP/2 session to an origin that ends without a word', () => {
  let sockets: ConnectionToOrigin;
  let session: Http2OriginSession;
  beforeEach(async () => {
    sockets = await connectionToOrigin();
    await new Promise<void>((ready) => {
      session = new Http2OriginSession(
        sockets.ours,
        { serverName: '', scheme: 'http', idleLifeMs: 60_000 },
        systemClock,
        { ready, settingsChanged() {}, streamOver() {}, cutOff() {}, unusable() {}, gone() {} },
      );
      sockets.origin.write(rawSettings());
    });
  });
  afterEach(() => {
    session.destroy({ reason: 'reset', message: 'the test is over' });
    sockets.stop();
  });

  it('before a request has left, says that it can be sent again, whatever it is', async () => {
    // What is begun here leaves after the next turn's reads: by then the end has come.
    await new Promise((resolve) => setImmediate(resolve));
    const asked = postOn(session.open());
    sockets.origin.destroy();
    expect(await asked).to.include({ reason: 'reset', unprocessed: 'ended' });
  });

  it('after that, says nothing of the kind', async () => {
    let heard = '';
    sockets.origin.on('data', (chunk) => {
      heard += chunk.toString('latin1');
    });
    const asked = postOn(session.open());
    await eventually('the request', () => heard.includes('body'));
    sockets.origin.destroy();
    expect(await asked)
      .to.include({ reason: 'reset' })
      .and.not.have.property('unprocessed');
  });
});
