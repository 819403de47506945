import { expect } from 'chai';
import type { Http2OriginSession } from '../../../src/tunnel/origin/http2-origin-session.ts';
import { http2Error } from '../../../src/tunnel/wire/http2-errors.ts';
import {
  type ConnectionToOrigin,
  connectionToOrigin,
  postOn,
  sessionToOrigin,
} from '../../support/connection-to-origin.ts';
import { eventually } from '../../support/eventually.ts';
import { rawBlock, rawData, rawFrame, rawHeaders, rawSettings, uint32 } from '../../support/raw-frames.ts';

describe('an HTTP/2 session to an origin', () => {
  let sockets: ConnectionToOrigin;
  let session: Http2OriginSession;
  beforeEach(async () => {
    sockets = await connectionToOrigin();
    const opened = sessionToOrigin(sockets.ours);
    session = opened.session;
    sockets.origin.write(rawSettings());
    await opened.ready;
  });
  afterEach(() => {
    session.destroy({ reason: 'reset', message: 'the test is over' });
    sockets.stop();
  });

  it('that ends without a word before a request has left, says that it can be sent again, whatever it is', async () => {
    // What is begun here leaves after the next turn's reads: by then the end has come.
    await new Promise((resolve) => setImmediate(resolve));
    const asked = postOn(session.open());
    sockets.origin.destroy();
    expect(await asked).to.include({ reason: 'reset', unprocessed: 'ended' });
  });

  it('that has ended when the place it gave is used, says the same of that request', async () => {
    const place = session.open();
    session.close();
    expect(await postOn(place)).to.include({ reason: 'reset', unprocessed: 'ended' });
    expect(session.streams).to.equal(0);
  });

  it('that ends after that, says nothing of the kind', async () => {
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

  it('whose origin answers what was cancelled thousands of requests ago, goes on for the others', async () => {
    // Eyeballs that open and cancel outrun an origin that is busy: what it says to the first comes after all that.
    for (let count = 0; count < 2_000; count += 1) {
      const place = session.open();
      void postOn(place);
      place.destroy();
    }
    const asked = postOn(session.open());
    const ok = rawBlock(':status', '200');
    sockets.origin.write(Buffer.concat([1, 3].map((id) => rawHeaders(id, ok))));
    sockets.origin.write(Buffer.concat([rawHeaders(5, ok, false), rawData(5, Buffer.from('late'), true)]));
    sockets.origin.write(rawHeaders(2 * 2_000 + 1, ok));
    expect(await asked).to.equal('answered');
  });

  it('that says what it left undone, and cuts the connection under the next request, is heard', async () => {
    const asked = postOn(session.open());
    await new Promise<void>((done) => {
      let heard = '';
      // From a read: what is begun here leaves before anything else is read.
      sockets.origin.on('data', (chunk) => {
        heard += chunk.toString('latin1');
        if (!heard.includes('body')) return;
        sockets.origin.write(rawFrame(7, 0, 0, Buffer.concat([uint32(0), uint32(http2Error.noError)])));
        sockets.origin.resetAndDestroy();
        void postOn(session.open());
        done();
      });
    });
    expect(await asked).to.include({ reason: 'reset', unprocessed: 'ended' });
  });
});
