import type { Clock, Timer } from '../time/clock.ts';
import type { EdgeSession } from './edge-session.ts';

/**
 * One in so many milliseconds; each connection has its turn once a round. Turns are few and large because what idles is
 * cold: an exchange by itself takes 330 µs of CPU, one of sixteen in a turn 58, one of sixty 50 (bare TLS sockets).
 */
const tickMs = 970;
const ticksPerRound = 8;
const ticksToAnswer = 2;

/** How often a connection is sent a PING, milliseconds. */
export const pingIntervalMs = ticksPerRound * tickMs;
/**
 * A connection from which nothing at all came for so long after a PING is dead, milliseconds. With the interval
 * and the tick before a turn, that is found within 10 s. (cloudflared sends no PING and waits for TCP keep-alive, about
 * two minutes.)
 */
export const pingTimeoutMs = ticksToAnswer * tickMs;
/**
 * PINGs without an answer while other frames do come, as over a slow line with much under way. One more is a peer
 * that is wedged.
 */
export const maxUnansweredPings = 4;

export type Pinged = Pick<EdgeSession, 'ping' | 'unansweredPings' | 'chunksHeard'>;

interface Watched {
  readonly session: Pinged;
  readonly dead: () => void;
  /** `chunksHeard` when it was last pinged; -1 before. */
  heard: number;
}

/**
 * Watches over all connections of one thread with one timer. A connection that idles costs little but its PINGs, so
 * those of a tick are sent, and their answers come, in one turn of the event loop. Time is counted in ticks: when
 * the thread itself stood still, what had come meanwhile is read before the next tick.
 */
export class Heartbeat {
  readonly #clock: Clock;
  readonly #turns: readonly Set<Watched>[] = Array.from({ length: ticksPerRound }, () => new Set());
  #watched = 0;
  #tick = 0;
  #timer: Timer | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `dead` once the peer is. The caller owns the watch, ends it when the session ends, and in `dead`. */
  watch(session: Pinged, dead: () => void): { end(): void } {
    const watched: Watched = { session, dead, heard: -1 };
    const turn = this.#emptiestTurn();
    turn.add(watched);
    this.#watched += 1;
    this.#timer ??= this.#clock.after(tickMs, this.#beat);
    return {
      end: () => {
        if (!turn.delete(watched)) return;
        this.#watched -= 1;
        if (this.#watched > 0) return;
        this.#timer?.cancel();
        this.#timer = null;
      },
    };
  }

  readonly #beat = (): void => {
    this.#timer = this.#clock.after(tickMs, this.#beat);
    this.#tick = (this.#tick + 1) % ticksPerRound;
    for (const watched of this.#turns[(this.#tick + ticksPerRound - ticksToAnswer) % ticksPerRound]!) {
      if (watched.heard === watched.session.chunksHeard) watched.dead();
    }
    for (const watched of this.#turns[this.#tick]!) {
      const { session } = watched;
      if (session.unansweredPings > maxUnansweredPings) watched.dead();
      else {
        watched.heard = session.chunksHeard;
        session.ping();
      }
    }
  };

  /** Of equals the one whose turn is last: a connection that just registered is known to live. */
  #emptiestTurn(): Set<Watched> {
    let emptiest = this.#turns[this.#tick]!;
    for (let back = 1; back < ticksPerRound; back += 1) {
      const turn = this.#turns[(this.#tick + ticksPerRound - back) % ticksPerRound]!;
      if (turn.size < emptiest.size) emptiest = turn;
    }
    return emptiest;
  }
}
