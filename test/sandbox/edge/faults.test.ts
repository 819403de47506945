import { connect } from 'node:net';
import { expect } from 'chai';
import { EdgeStage, idleHost, stageTunnel } from '../../support/edge-stage.ts';
import { eventually } from '../../support/eventually.ts';
import { visit } from '../../support/eyeball.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import type { AnswerStream } from '../../support/scripted-connector.ts';

const { host, tunnelId } = stageTunnel;
const hello: AnswerStream = (stream) => {
  stream.respond({ ':status': 200, 'cf-cloudflared-response-headers': '' });
  stream.end('hello');
};

describe('sandbox edge: faults', () => {
  let stage: EdgeStage;
  beforeEach(async () => {
    stage = await EdgeStage.open();
  });
  afterEach(() => stage.close());

  const statusNow = async (): Promise<number> => (await visit(stage.edge.frontUrl, { host })).status;

  it('cuts one connection with a reset, and leaves the others', async () => {
    const one = await stage.serve(hello, 0);
    const other = await stage.serve(hello, 1);
    let code: string | undefined;
    one.socket.on('error', (error: NodeJS.ErrnoException) => {
      code = error.code;
    });
    expect(stage.edge.faults.cut({ tunnelId, connIndex: 0 })).to.equal(1);
    await one.closed();
    expect(code).to.equal('ECONNRESET');
    expect(other.isClosed).to.equal(false);
    expect(await statusNow()).to.equal(200);
  });

  it('cuts all connections', async () => {
    const connectors = [await stage.serve(hello, 0), await stage.serve(hello, 1)];
    expect(stage.edge.faults.cut()).to.equal(2);
    for (const connector of connectors) await connector.closed();
    await eventually('none is left', () => stage.edge.connections().length === 0);
  });

  it('without a relay serves the same, and cuts with a reset', async () => {
    await stage.close();
    stage = await EdgeStage.open({ straight: true });
    const connector = await stage.serve(hello);
    expect(await statusNow()).to.equal(200);
    let code: string | undefined;
    connector.socket.on('error', (error: NodeJS.ErrnoException) => {
      code = error.code;
    });
    expect(stage.edge.faults.cut()).to.equal(1);
    await connector.closed();
    expect(code).to.equal('ECONNRESET');
    await eventually('it is not counted any more', () => stage.edge.connections().length === 0);
  });

  it('leaves a silenced connector in the dark, finds it by PING itself, and tells it when all is cleared', async () => {
    await stage.close();
    stage = await EdgeStage.open({ pingIntervalMs: 50, pingTimeoutMs: 100 });
    const connector = await stage.serve(hello);
    stage.edge.faults.silence({ tunnelId });
    let answered = false;
    connector.session.ping(() => {
      answered = true;
    });
    await eventually('the edge has given it up', () => stage.edge.connections().length === 0);
    expect({ answered, isClosed: connector.isClosed }).to.deep.equal({ answered: false, isClosed: false });
    stage.edge.faults.clear();
    await connector.closed();
  });

  it('sends a PING only to a connector that sent none for as long', async () => {
    await stage.close();
    const clock = new ManualClock();
    stage = await EdgeStage.open({ clock });
    const pinged = { quiet: 0, pinging: 0 };
    const quiet = await stage.serve(hello, 0);
    const pinging = await stage.serve(hello, 1);
    quiet.session.on('ping', () => {
      pinged.quiet += 1;
    });
    pinging.session.on('ping', () => {
      pinged.pinging += 1;
    });
    for (let round = 1; round <= 3; round += 1) {
      for (const waitMs of [4_000, 4_000]) {
        await clock.advance(waitMs);
        await new Promise((resolve) => pinging.session.ping(resolve));
      }
      await clock.advance(2_000);
      await eventually('the quiet one is pinged', () => pinged.quiet === round);
      // Its answer has arrived before the clock goes on.
      await new Promise((resolve) => quiet.session.settings({}, resolve));
    }
    expect(pinged).to.deep.equal({ quiet: 3, pinging: 0 });
  });

  it('lets a silence that was short pass, with nothing lost', async () => {
    await stage.serve(hello);
    stage.edge.faults.silence();
    const answer = visit(stage.edge.frontUrl, { host });
    await eventually('the request waits', () => stage.edge.connections()[0]?.openStreams === 1);
    stage.edge.faults.restore();
    expect((await answer).body).to.equal('hello');
  });

  it('holds back what passes, in order, and again nothing when that is over', async () => {
    await stage.serve((stream) => {
      stream.respond({ ':status': 200, 'cf-cloudflared-response-headers': '' });
      stream.end(Buffer.alloc(1 << 20, 'x'));
    });
    stage.edge.faults.delay(20, tunnelId);
    const startMs = performance.now();
    const slow = visit(stage.edge.frontUrl, { host });
    expect((await slow).body).to.have.length(1 << 20);
    expect(performance.now() - startMs).to.be.at.least(40);
    const answers = Promise.all([1, 2, 3, 4].map(() => visit(stage.edge.frontUrl, { host })));
    await eventually('requests are on their way', () => stage.edge.connections()[0]?.openStreams === 4);
    stage.edge.faults.delay(0, tunnelId);
    expect((await answers).map(({ body }) => body.length)).to.deep.equal(Array(4).fill(1 << 20));
  });

  it('refuses registrations of a tunnel, as often as was said', async () => {
    const refusal = { cause: 'try later', shouldRetry: true, retryAfterMs: 1_500 };
    stage.edge.faults.refuse({ tunnelId, count: 1, ...refusal });
    stage.edge.faults.refuse({ tunnelId: 'another', cause: 'never', shouldRetry: false, retryAfterMs: 0 });
    const refused = await stage.dial();
    expect(await refused.register()).to.deep.equal({
      kind: 'refused',
      cause: 'try later',
      shouldRetry: true,
      retryAfterNanoseconds: 1_500_000_000n,
    });
    await refused.closed();
    await stage.serve(hello);
  });

  it('says GOAWAY and closes', async () => {
    const connector = await stage.serve(hello);
    let code: number | undefined;
    connector.session.on('goaway', (received) => {
      code = received;
    });
    expect(stage.edge.faults.goaway({ tunnelId })).to.equal(1);
    expect(await statusNow()).to.equal(530);
    connector.control.end();
    await connector.closed();
    expect(code).to.equal(0);
  });

  it('resets new connections, or leaves them without an answer', async () => {
    const [address = '', port = ''] = stage.edge.tunnelAddress.split(':');
    const knock = (): { readonly codes: string[]; readonly received: number; destroy(): void } => {
      const seen = { codes: [] as string[], received: 0, destroy: () => void socket.destroy() };
      const socket = connect(Number(port), address);
      socket.on('error', (error: NodeJS.ErrnoException) => seen.codes.push(error.code ?? ''));
      socket.on('data', () => seen.received++);
      return seen;
    };
    stage.edge.faults.newConnections = 'reset';
    const reset = knock();
    await eventually('a reset', () => reset.codes.includes('ECONNRESET'));
    stage.edge.faults.newConnections = 'ignore';
    const ignored = knock();
    stage.edge.faults.clear();
    await stage.serve(hello);
    expect(ignored.codes).to.deep.equal([]);
    ignored.destroy();
  });

  it('touches no other tunnel', async () => {
    await stage.serve(hello);
    const other = { tunnelId: '22222222-2222-4333-8444-555555555555' };
    expect(stage.edge.faults.cut(other) + stage.edge.faults.silence(other)).to.equal(0);
    expect(await statusNow()).to.equal(200);
    expect((await visit(stage.edge.frontUrl, { host: idleHost })).status).to.equal(530);
  });
});
