import { expect } from 'chai';
import { SilenceWatch, type WatchedSession } from '../../../src/tunnel/origin/http2-silence.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const minute = 60_000;

describe('the watch over a session that may fall silent', () => {
  let clock: ManualClock;
  let session: { -readonly [key in keyof WatchedSession]: WatchedSession[key] };
  let watch: SilenceWatch;
  /** Seconds. */
  let pingedAt: number[];
  let diedAt: number | null;
  /** Whether PINGs are answered. */
  let alive: boolean;
  beforeEach(() => {
    clock = new ManualClock();
    pingedAt = [];
    diedAt = null;
    alive = true;
    session = {
      openStreams: 0,
      newestId: -1,
      chunksHeard: 1,
      messageFramesHeard: 0,
      ping() {
        pingedAt.push(clock.monotonic() / 1000);
        if (alive) session.chunksHeard += 1;
      },
    };
    watch = new SilenceWatch(session, clock, () => {
      diedAt = clock.monotonic() / 1000;
    });
  });
  afterEach(() => watch.end());

  const ask = (): void => {
    session.openStreams += 1;
    session.newestId += 2;
    watch.begin();
  };
  const message = (): void => {
    session.chunksHeard += 1;
    session.messageFramesHeard += 1;
  };
  const answer = (): void => {
    message();
    session.openStreams -= 1;
  };
  /** Greeted and asked, and heard since. */
  const begun = async (): Promise<void> => {
    ask();
    message();
    await clock.advance(5_000);
  };

  it('looks into a silence after ten seconds, and knows three quarters of a minute later', async () => {
    await begun();
    alive = false;
    await clock.advance(60_000);
    expect({ pingedAt, diedAt }).to.deep.equal({ pingedAt: [15], diedAt: 60 });
    expect(clock.pendingTimers).to.equal(0);
  });

  it('has one timer for all that is asked, and none when the session is over', () => {
    ask();
    ask();
    expect(clock.pendingTimers).to.equal(1);
    watch.end();
    watch.end();
    expect(clock.pendingTimers).to.equal(0);
  });

  it('takes anything that comes for life, a late answer and a WINDOW_UPDATE too', async () => {
    await begun();
    alive = false;
    await clock.advance(54_000);
    session.chunksHeard += 1;
    await clock.advance(50_000);
    expect(diedAt).to.equal(null);
  });

  it('does not wait for ten seconds where a request is the first for a while', async () => {
    await begun();
    answer();
    await clock.advance(10 * minute);
    expect(clock.pendingTimers).to.equal(0);
    ask();
    alive = false;
    await clock.advance(minute);
    expect({ pingedAt, diedAt }).to.deep.equal({ pingedAt: [610], diedAt: 655 });
  });

  it('sends no PING while no stream is open, nor while answers come', async () => {
    for (let second = 0; second < 100; second += 1) {
      ask();
      await clock.advance(500);
      answer();
      await clock.advance(500);
    }
    await clock.advance(10 * minute);
    expect(pingedAt).to.deep.equal([]);
  });

  it('counts on where requests are given up before their origin is known to be dead', async () => {
    await begun();
    session.openStreams = 0;
    alive = false;
    await clock.advance(minute);
    for (let tries = 0; tries < 12; tries += 1) {
      ask();
      await clock.advance(8_000);
      session.openStreams = 0;
      await clock.advance(8_000);
    }
    expect(pingedAt).to.have.length(1);
    expect(diedAt).to.not.equal(null);
  });

  it('lets a stream live that carries nothing, and looks into that again after five minutes', async () => {
    await begun();
    await clock.advance(10 * minute);
    expect({ pingedAt, diedAt }).to.deep.equal({ pingedAt: [15, 320], diedAt: null });
    alive = false;
    await clock.advance(2 * minute);
    expect({ pingedAt, diedAt }).to.deep.equal({ pingedAt: [15, 320, 625], diedAt: 670 });
  });

  it('looks into one further silence with a new request for each word of the origin', async () => {
    for (let words = 1; words <= 3; words += 1) {
      message();
      for (let requests = 0; requests < 3; requests += 1) {
        ask();
        await clock.advance(25_000);
      }
      expect(pingedAt).to.have.length(2 * words);
    }
  });

  it('sends a server of gRPC no PING too many, whatever comes to it and whatever it sends', async () => {
    // grpc-go, `handlePing`: what it sends forgives what came before.
    let forgiven = false;
    let lastMs = Number.NEGATIVE_INFINITY;
    let strikes = 0;
    let worst = 0;
    session.ping = () => {
      session.chunksHeard += 1;
      if (forgiven) strikes = 0;
      else if (clock.monotonic() - lastMs < 5 * minute) strikes += 1;
      forgiven = false;
      lastMs = clock.monotonic();
      worst = Math.max(worst, strikes);
      pingedAt.push(lastMs / 1000);
    };
    ask();
    for (let second = 0; second < 3 * 3600; second += 1) {
      // Requests that take long, uploads whose windows are given back, and now and then something sent, late.
      if (second % 17 === 0) ask();
      if (second % 41 === 0) session.chunksHeard += 1;
      if (second % 1009 === 0) forgiven = true;
      if (second % 1009 === 3) message();
      await clock.advance(1_000);
    }
    expect(worst).to.be.below(3);
    expect(pingedAt.length).to.be.above(20);
  });
});
