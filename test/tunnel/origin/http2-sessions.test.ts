import type { Socket } from 'node:net';
import { expect } from 'chai';
import type { OriginConnection } from '../../../src/tunnel/origin/exchange.ts';
import type { OriginFailure } from '../../../src/tunnel/origin/origin-failure.ts';
import { http2Error } from '../../../src/tunnel/wire/http2-errors.ts';
import { postOn } from '../../support/connection-to-origin.ts';
import { eventually } from '../../support/eventually.ts';
import { settle } from '../../support/manual-clock.ts';
import { rawBlock, rawFrame, rawHeaders, rawSettings, uint32 } from '../../support/raw-frames.ts';
import { type Asker, SessionsToOrigin } from '../../support/sessions-to-origin.ts';

const over: OriginFailure = { reason: 'other', message: 'it is over' };
const refused: OriginFailure = { reason: 'refused', message: 'ECONNREFUSED' };

describe('the HTTP/2 sessions to one address', () => {
  let stage: SessionsToOrigin;
  beforeEach(() => {
    stage = new SessionsToOrigin();
  });
  afterEach(() => stage.close());

  const served = (all: readonly Asker[]): number => all.filter(({ given }) => given !== null).length;

  const goAway = (lastStreamId: number): Buffer =>
    rawFrame(7, 0, 0, Buffer.concat([uint32(lastStreamId), uint32(http2Error.noError)]));

  /** A session on which so many requests run ends after the stream of that id. */
  async function cutOff(requests: number, lastStreamId: number): Promise<void> {
    const from = stage.openings.length;
    const asking = stage.askers(requests);
    await settle();
    const origin = await stage.connect(from, 1_000);
    await eventually('places', () => served(asking) === requests);
    const posts = asking.map(({ given }) => postOn(given!));
    origin.write(goAway(lastStreamId));
    await posts.at(-1);
    origin.destroy();
    await Promise.all(posts);
  }

  it('give their places in the order of the requests, and none to one that comes while others wait', async () => {
    const { asker } = await stage.first(1);
    const waiting = stage.askers(2);
    asker.given!.destroy();
    expect(stage.sessions.take('')).to.equal(null);
    await settle();
    expect(waiting.map(({ given }) => given !== null)).to.deep.equal([true, false]);
    waiting[0]!.given!.destroy();
    await settle();
    waiting[1]!.given!.destroy();
    const taken = stage.sessions.take('');
    expect(taken).to.not.equal(null);
    taken!.destroy();
  });

  it('give one place for each request that goes away, on its way or not', async () => {
    const { asker } = await stage.first(1);
    const waiting = stage.askers(3);
    void postOn(asker.given!);
    asker.given!.destroy();
    await settle();
    expect(waiting.map(({ given }) => given !== null)).to.deep.equal([true, false, false]);
    waiting[0]!.given!.destroy();
    waiting[0]!.given!.destroy();
    await settle();
    expect(waiting.map(({ given }) => given !== null)).to.deep.equal([true, true, false]);
  });

  it('give a place as soon as the origin allows another stream', async () => {
    const { origin } = await stage.first(1);
    const waiting = stage.ask();
    await settle();
    expect(waiting.given).to.equal(null);
    origin.write(rawSettings({ 3: 2 }));
    await eventually('the place', () => waiting.given);
  });

  it('are for one server name each', async () => {
    const own = stage.ask(false, 'a.test');
    await settle();
    await stage.connect(0, 10);
    await eventually('a place', () => own.given);
    expect(stage.sessions.take('b.test')).to.equal(null);
    const others = [stage.ask(true, 'b.test'), stage.ask(false, 'b.test')];
    await settle();
    expect(stage.openings.map(({ serverName }) => serverName)).to.deep.equal(['a.test', 'b.test']);
    stage.openings[1]!.failed(refused);
    expect(others.map(({ failure }) => failure)).to.deep.equal([refused, refused]);
  });

  it('are 64 at most: whoever comes then waits', async () => {
    const asking = stage.askers(66);
    for (let index = 0; index < 64; index += 1) {
      await eventually('another opening', () => stage.openings.length === index + 1);
      await stage.connect(index, 1);
    }
    await eventually('the places', () => served(asking) === 64);
    await settle();
    expect(stage.openings).to.have.length(64);
    asking[0]!.given!.destroy();
    await eventually('one more', () => served(asking) === 65);
  });

  it('are not more that idle than the setting says', async () => {
    stage = new SessionsToOrigin({ protocol: 'h2c', keepAliveConnections: 1 });
    const asking = stage.askers(2);
    for (const index of [0, 1]) {
      await eventually('an opening', () => stage.openings.length > index);
      await stage.connect(index, 1);
    }
    await eventually('the places', () => served(asking) === 2);
    for (const { given } of asking) given!.destroy();
    const left = stage.sessions.take('');
    expect([left !== null, stage.sessions.take('')]).to.deep.equal([true, null]);
    left!.destroy();
  });

  it('are one each, however often its origin says SETTINGS', async () => {
    stage = new SessionsToOrigin({ protocol: 'h2c', keepAliveConnections: 1 });
    const { asker, origin } = await stage.first(1);
    asker.given!.destroy();
    origin.write(rawSettings({ 3: 2 }));
    // One place more shows that they were read.
    const places = await eventually('two places', () => {
      const both = [stage.sessions.take(''), stage.sessions.take('')];
      if (both[1] !== null) return both;
      both[0]?.destroy();
      return undefined;
    });
    for (const place of places) place!.destroy();
    await settle();
    const kept = stage.sessions.take('');
    expect(kept).to.not.equal(null);
    kept!.destroy();
  });

  describe('where a further one cannot be had', () => {
    const fail = async (asker: Asker): Promise<void> => {
      await settle();
      expect(asker.given).to.equal(null);
      stage.openings[1]!.failed(refused);
    };

    it('have the patient wait, and try once a second', async () => {
      await stage.first(1);
      const patient = stage.ask(true);
      await fail(patient);
      const impatient = stage.ask();
      await settle();
      expect([patient.failure, impatient.failure]).to.deep.equal([null, refused]);
      await stage.clock.advance(999);
      expect(stage.openings).to.have.length(2);
      await stage.clock.advance(1);
      expect(stage.openings).to.have.length(3);
      const another = stage.ask();
      await settle();
      expect([another.failure, stage.openings.length]).to.deep.equal([refused, 3]);
      const second = stage.ask(true);
      await stage.connect(2, 1);
      await eventually('a place', () => patient.given);
      // Now they can be had again: whoever waits or comes does so for the next one.
      const later = stage.ask();
      await settle();
      expect([second.given, later.failure, stage.openings.length]).to.deep.equal([null, null, 4]);
    });

    it('are opened at once for who waits when the last that there was has ended', async () => {
      const { origin } = await stage.first(1);
      const patient = stage.ask(true);
      await fail(patient);
      origin.destroy();
      await eventually('another opening', () => stage.openings.length === 3);
      await stage.connect(2, 1);
      await eventually('a place', () => patient.given);
    });
  });

  it('fail together where none can be had, and have nothing to do with who comes then', async () => {
    const asking = stage.askers(257);
    await settle();
    const last = stage.ask();
    stage.openings[0]!.failed(refused);
    expect([...asking, last].every(({ failure }) => failure === refused)).to.equal(true);
    expect(stage.openings[1]!.cancelled).to.equal(true);
    const next = stage.ask();
    await settle();
    expect([stage.sessions.empty, stage.openings.length]).to.deep.equal([false, 3]);
    await stage.connect(2, 1);
    await eventually('a place', () => next.given);
  });

  describe('whose origin chooses HTTP/1.1', () => {
    const http1 = { alpnProtocol: 'http/1.1' } as unknown as Socket;
    beforeEach(() => {
      stage = new SessionsToOrigin({ protocol: 'https', http2: true });
    });

    it('give everybody a connection of his own at once, until it chooses otherwise', async () => {
      const asking = stage.askers(80);
      await settle();
      expect(stage.openings).to.have.length(1);
      stage.openings[0]!.connected(http1);
      expect([served(asking), stage.openings.length]).to.deep.equal([1, 80]);
      stage.openings[1]!.failed(refused);
      expect(asking.map(({ failure }) => failure).filter((failure) => failure !== null)).to.have.length(1);
      expect(stage.openings).to.have.length(80);

      await stage.connect(2, 100, 'h2');
      await eventually('the others', () => served(asking) === 79);
      for (const { given } of asking.slice(2)) given!.destroy();
    });

    it('are forgotten with the last who waited, also where that one failed', async () => {
      for (const outcome of ['connected', 'failed']) {
        const asker = stage.ask();
        await settle();
        if (outcome === 'connected') stage.openings[0]!.connected(http1);
        else stage.openings[1]!.failed(refused);
        expect([asker.given !== null, asker.failure]).to.deep.equal(
          outcome === 'connected' ? [true, null] : [false, refused],
        );
        expect(stage.sessions.empty).to.equal(true);
      }
    });

    it('keep no session that is granted when nobody waits any more and enough others idle', async () => {
      await stage.close();
      stage = new SessionsToOrigin({ protocol: 'https', http2: true, keepAliveConnections: 1 });
      const asking = stage.askers(3);
      await settle();
      stage.openings[0]!.connected(http1);
      const kept = await stage.connect(1, 100, 'h2');
      await eventually('all to be served', () => served(asking) === 3);
      for (const { given } of asking.slice(1)) given!.destroy();
      const surplus = await stage.connect(2, 100, 'h2');
      await eventually('it to be closed', () => surplus.readableEnded);
      expect(kept.readableEnded).to.equal(false);
    });

    it('close one that comes when nobody waits any more, and make nothing of it that the pool would count', async () => {
      const asking = stage.askers(3);
      await settle();
      stage.openings[0]!.connected(http1);
      await stage.connect(1, 100, 'h2');
      await eventually('all to be served', () => served(asking) === 3);
      const origin = await stage.connect(2, null, 'http/1.1');
      await eventually('it to be closed', () => origin.readableEnded);
      expect(stage.adopted).to.equal(1);
    });
  });

  describe('that an origin ends after some streams', () => {
    it('dare half as many, or as many as that one had carried', async () => {
      expect([await stage.openedFor(256), await stage.openedFor(257)]).to.deep.equal([1, 2]);
      await cutOff(2, 1);
      expect([await stage.openedFor(128), await stage.openedFor(129)]).to.deep.equal([1, 2]);
      await cutOff(101, 199);
      expect([await stage.openedFor(100), await stage.openedFor(101)]).to.deep.equal([1, 2]);
    });

    /** Two streams run, and the session ends with these words. */
    async function ended(...words: readonly Buffer[]): Promise<void> {
      const asking = stage.askers(2);
      await settle();
      const origin = await stage.connect(0, 1_000);
      await eventually('places', () => served(asking) === 2);
      const posts = asking.map(({ given }) => postOn(given!));
      origin.end(Buffer.concat(words));
      await Promise.all(posts);
    }

    it('dare as many as before where it had looked at all of them', async () => {
      await ended(goAway(3));
      expect([await stage.openedFor(256), await stage.openedFor(257)]).to.deep.equal([1, 2]);
    });

    it('dare half as many, however often it says so of one session', async () => {
      // First that it will end, then which it has looked at; then, as Node.js does, the same as it ends.
      await ended(goAway(2 ** 31 - 1), goAway(1), goAway(1));
      expect([await stage.openedFor(128), await stage.openedFor(129)]).to.deep.equal([1, 2]);
    });

    it('dare 256 at most, whatever one has carried', async () => {
      const { asker, origin } = await stage.first(1_000);
      asker.given!.destroy();
      for (let id = 3; id < 603; id += 2) {
        const place = stage.sessions.take('');
        const post = postOn(place!);
        origin.write(rawHeaders(id - 2, rawBlock(':status', '204')));
        expect(await post).to.equal('answered');
      }
      const places = Array.from({ length: 257 }, () => stage.sessions.take(''));
      expect(places.map((place) => place !== null)).to.deep.equal([...Array(256).fill(true), false]);
      for (const place of places) place?.destroy();
    });

    it('dare one at least, and more again as sessions carry more', async () => {
      for (let dared = 256; dared > 1; dared /= 2) await cutOff(2, 1);
      await cutOff(1, 0);
      expect(await stage.openedFor(3)).to.equal(3);
      const from = stage.openings.length;
      const asker = stage.ask();
      await settle();
      const origin = await stage.connect(from, 1_000);
      await eventually('a place', () => asker.given);
      const answered = async (connection: OriginConnection, streamId: number): Promise<void> => {
        const post = postOn(connection);
        origin.write(rawHeaders(streamId, rawBlock(':status', '204')));
        expect(await post).to.equal('answered');
      };
      await answered(asker.given!, 1);
      await answered(await eventually('the place', () => stage.sessions.take('')), 3);
      const places = [await eventually('the place', () => stage.sessions.take('')), stage.sessions.take('')];
      expect([places.at(-1) !== null, stage.sessions.take('')]).to.deep.equal([true, null]);
      for (const place of places) place?.destroy();
    });
  });

  it('are not opened any more for one that goes away', async () => {
    const asker = stage.ask();
    await settle();
    expect(stage.sessions.empty).to.equal(false);
    asker.cancel();
    expect([stage.openings[0]!.cancelled, stage.sessions.empty]).to.deep.equal([true, true]);
  });

  it('that have yet to allow a stream are ended for one that goes away', async () => {
    const asker = stage.ask();
    await settle();
    const origin = await stage.connect(0, null);
    asker.cancel();
    await eventually('the end', () => origin.readableEnded && stage.sessions.empty);
  });

  it('that are on their way longest stay so when some go away: the others do not begin to wait anew', async () => {
    const asking = stage.askers(257);
    await settle();
    // One comes and one goes, again and again, as under load.
    for (let turn = 0; turn < 3; turn += 1) {
      asking.shift()!.cancel();
      asking.push(stage.ask());
      await settle();
    }
    expect(stage.openings.map(({ cancelled }) => cancelled)).to.deep.equal([false, true, true, true, false]);
    await stage.connect(0, 1_000);
    await eventually('a place for all but one', () => served(asking) === 256);
  });

  it('that close serve who waits, and end after that', async () => {
    const asker = stage.ask();
    await settle();
    stage.sessions.close();
    await stage.connect(0, 1);
    await eventually('a place', () => asker.given);
    expect(stage.sessions.empty).to.equal(false);
    asker.given!.destroy();
    await eventually('the end', () => stage.sessions.empty);
  });

  it('end with all that was open, on its way or leaving, and tell it', async () => {
    const { asker, origin } = await stage.first(10);
    const [post, unlooked] = [asker.given, stage.sessions.take('')].map((place) => postOn(place!));
    origin.write(goAway(1));
    await unlooked;
    const waiting = stage.ask();
    await settle();
    await stage.connect(1, null);
    stage.sessions.destroy(over);
    expect(waiting.failure).to.equal(over);
    expect(await post).to.equal(over);
    await eventually('nothing to be left', () => stage.sessions.empty);
  });

  it('that go away before they allow a stream, and allow it in the same breath, are given to nobody', async () => {
    const asker = stage.ask();
    await settle();
    const origin = await stage.connect(0, 0);
    origin.write(Buffer.concat([goAway(0), rawSettings({ 3: 10 })]));
    await eventually('the failure', () => asker.failure);
    const next = stage.ask();
    await settle();
    expect([next.given, stage.openings.length]).to.deep.equal([null, 2]);
    await stage.connect(1, 1);
    await eventually('a place', () => next.given);
  });

  it('that end before they allow a stream say why to who waits', async () => {
    const asker = stage.ask();
    await settle();
    const origin = await stage.connect(0, 0);
    origin.end();
    await eventually('the failure', () => asker.failure);
    expect(asker.failure?.message).to.equal('the origin closed the HTTP/2 session');
  });
});
