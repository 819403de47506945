import { expect } from 'chai';
import { Heartbeat, maxUnansweredPings, pingIntervalMs, pingTimeoutMs } from '../../src/tunnel/heartbeat.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** A session whose peer answers, says other things only, or nothing. */
class Peer {
  readonly clock: ManualClock;
  peer: 'answers' | 'talks' | 'is silent' = 'answers';
  readonly pingedMs: number[] = [];
  deadMs: number | null = null;
  unansweredPings = 0;
  chunksHeard = 0;
  readonly #watch: { end(): void };

  constructor(heartbeat: Heartbeat, clock: ManualClock, dialledAtMs = clock.monotonic()) {
    this.clock = clock;
    this.#watch = heartbeat.watch(this, dialledAtMs, () => {
      this.deadMs = clock.monotonic();
      this.end();
    });
  }

  ping(): void {
    this.pingedMs.push(this.clock.monotonic());
    this.unansweredPings += 1;
    if (this.peer === 'is silent') return;
    this.chunksHeard += 1;
    if (this.peer === 'answers') this.unansweredPings = 0;
  }

  end(): void {
    this.#watch.end();
  }
}

describe('heartbeat', () => {
  let clock: ManualClock;
  let heartbeat: Heartbeat;
  let peers: Peer[];
  const join = (): Peer => {
    const peer = new Peer(heartbeat, clock);
    peers.push(peer);
    return peer;
  };

  beforeEach(() => {
    clock = new ManualClock();
    heartbeat = new Heartbeat(clock);
    peers = [];
  });
  afterEach(() => {
    for (const peer of peers) peer.end();
    expect(clock.pendingTimers).to.equal(0);
  });

  it('pings every connection as often as it says, by one timer for all', async () => {
    for (let count = 0; count < 100; count += 1) join();
    await clock.advance(pingIntervalMs);
    expect(clock.pendingTimers).to.equal(1);
    await clock.advance(pingIntervalMs * 9);
    for (const { pingedMs, deadMs } of peers) {
      expect(pingedMs).to.have.length(10);
      expect(pingedMs.slice(1).every((atMs, index) => atMs - pingedMs[index]! === pingIntervalMs)).to.equal(
        true,
      );
      expect(deadMs).to.equal(null);
    }
  });

  it('spreads what joined at once, and what others left', async () => {
    for (let count = 0; count < 520; count += 1) join();
    for (const peer of peers.splice(0, 260)) peer.end();
    for (let count = 0; count < 260; count += 1) join();
    await clock.advance(pingIntervalMs);
    const perTick = new Map<number, number>();
    for (const { pingedMs } of peers) perTick.set(pingedMs[0]!, (perTick.get(pingedMs[0]!) ?? 0) + 1);
    expect(Math.max(...perTick.values())).to.equal(130);
  });

  it('finds within ten seconds whatever falls silent, whenever it does, and nothing else', async () => {
    for (let atMs = 0; atMs < pingIntervalMs; atMs += 130) {
      const silent = join();
      const other = join();
      await clock.advance(130);
      silent.peer = 'is silent';
      const sinceMs = clock.monotonic();
      await clock.advance(10_000);
      expect(silent.deadMs! - sinceMs).to.be.within(pingTimeoutMs, 10_000);
      expect(other.deadMs).to.equal(null);
      other.end();
    }
  });

  it('takes anything that comes for life, but not for ever without an answer', async () => {
    const peer = join();
    await clock.advance(pingIntervalMs);
    peer.peer = 'talks';
    await clock.advance(pingIntervalMs * maxUnansweredPings + pingTimeoutMs);
    expect(peer.deadMs).to.equal(null);
    await clock.advance(pingIntervalMs * 2);
    expect(peer.deadMs).to.not.equal(null);
  });

  it('reads what came while the thread stood still before it judges', async () => {
    const peer = join();
    peer.peer = 'is silent';
    while (peer.pingedMs.length === 0) await clock.advance(clock.nextTimerMs!);
    // Due meanwhile: it comes before anything is read.
    await clock.advance(clock.nextTimerMs!);
    peer.chunksHeard += 1;
    await clock.advance(clock.nextTimerMs!);
    expect(peer.deadMs).to.equal(null);
  });

  describe('when all fall silent at once', () => {
    const roundMs = pingIntervalMs;
    const turnMs = pingTimeoutMs;
    const dead = (): number => peers.filter(({ deadMs }) => deadMs !== null).length;
    beforeEach(async () => {
      for (let count = 0; count < 400; count += 1) join();
      await clock.advance(2 * roundMs);
      for (const peer of peers) peer.peer = 'is silent';
    });

    it('gives up one a turn, and nobody any more once the others are heard again', async () => {
      await clock.advance(roundMs);
      const givenUp = dead();
      expect(givenUp).to.be.within(1, roundMs / turnMs);
      for (const peer of peers) {
        peer.chunksHeard += 1;
        peer.unansweredPings = 0;
        peer.peer = 'answers';
      }
      // Those that were given up are back.
      for (let count = 0; count < givenUp; count += 1) join();
      await clock.advance(10 * roundMs);
      expect(dead()).to.equal(givenUp);
    });

    it('gives up all that were asked before one was dialled that comes through', async () => {
      const early = clock.monotonic();
      await clock.advance(turnMs * 2);
      expect(dead()).to.be.within(1, 2);
      peers.push(new Peer(heartbeat, clock, early));
      await clock.advance(turnMs / 2);
      expect(dead(), 'one that was under way before shows nothing').to.be.within(1, 2);
      await clock.advance(roundMs);
      join();
      await clock.advance(turnMs);
      expect(dead()).to.equal(400);
    });

    it('counts from the first PING without an answer, however many followed', async () => {
      await clock.advance(roundMs + turnMs / 2);
      const between = clock.monotonic();
      await clock.advance(roundMs);
      expect(dead()).to.be.lessThan(20);
      peers.push(new Peer(heartbeat, clock, between));
      await clock.advance(turnMs);
      expect(dead()).to.equal(400);
    });

    it('gives up all in the end, although nobody comes through', async () => {
      await clock.advance(roundMs * (maxUnansweredPings + 1));
      expect(dead()).to.be.lessThan(400);
      await clock.advance(roundMs);
      expect(dead()).to.equal(400);
    });
  });

  it('finds all that fall silent at once within ten seconds where what replaces them registers', async () => {
    const stepMs = 97;
    const handshakeMs = stepMs;
    const backoffMs = 1_000;
    for (let offsetMs = 0; offsetMs < pingIntervalMs; offsetMs += 485) {
      const fallen = Array.from({ length: 40 }, join);
      await clock.advance(2 * pingIntervalMs + offsetMs);
      for (const peer of fallen) peer.peer = 'is silent';
      const sinceMs = clock.monotonic();
      const unreplaced = new Set(fallen);
      const replacements: Peer[] = [];
      while (clock.monotonic() < sinceMs + 10_000) {
        await clock.advance(stepMs);
        for (const peer of unreplaced) {
          if (peer.deadMs === null || clock.monotonic() < peer.deadMs + backoffMs + handshakeMs) continue;
          unreplaced.delete(peer);
          replacements.push(new Peer(heartbeat, clock, clock.monotonic() - handshakeMs));
        }
      }
      for (const { deadMs } of fallen) expect((deadMs ?? Infinity) - sinceMs).to.be.at.most(10_000);
      expect(replacements.some(({ deadMs }) => deadMs !== null)).to.equal(false);
      for (const peer of replacements) peer.end();
    }
  });

  it('leaves alone whom the owner of a dead one ends in the same turn', async () => {
    let told = 0;
    const dead = { ping() {}, unansweredPings: 0, chunksHeard: 0 };
    const first = heartbeat.watch(dead, clock.monotonic(), () => {
      first.end();
      second.end();
    });
    // The next turns are theirs.
    const others = Array.from({ length: 3 }, join);
    const second = heartbeat.watch(dead, clock.monotonic(), () => {
      told += 1;
    });
    await clock.advance(2 * pingIntervalMs);
    join();
    await clock.advance(2 * pingIntervalMs);
    expect(told).to.equal(0);
    expect(others.some(({ deadMs }) => deadMs !== null)).to.equal(false);
  });

  it('hears no more of a connection that was ended, twice at that', async () => {
    const peer = join();
    peer.end();
    peer.end();
    join();
    await clock.advance(pingIntervalMs * 2);
    expect(peer.pingedMs).to.deep.equal([]);
  });
});
