import type { Clock, Timer } from '../time/clock.ts';
import type { EdgeSession } from './edge-session.ts';

const tickMs = 970;
/**
 * Each connection has its turn once a round. Turns are few and large because what idles is cold: an exchange by itself
 * takes 330 µs of CPU, one of sixteen in a turn 58, one of sixty 51, one of 250 43 (bare TLS sockets).
 */
const turnsPerRound = 4;
/**
 * From one turn to the next, in which the PINGs of the one are to be answered. Two, so that what came while the thread
 * stood still is read in between.
 */
const ticksPerTurn = 2;

/** How often a connection is sent a PING, milliseconds. */
export const pingIntervalMs = turnsPerRound * ticksPerTurn * tickMs;
/**
 * A connection from which nothing at all came for so long after a PING is dead, milliseconds. With the interval, that is
 * found within 10 s. (cloudflared sends no PING and waits for TCP keep-alive, about two minutes.)
 */
export const pingTimeoutMs = ticksPerTurn * tickMs;
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
  readonly #turns: readonly Set<Watched>[] = Array.from({ length: turnsPerRound }, () => new Set());
  #watched = 0;
  /** Whose turn it was last, and the ticks since. */
  #turn = 0;
  #ticks = 0;
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
    this.#ticks += 1;
    if (this.#ticks < ticksPerTurn) return;
    this.#ticks = 0;
    for (const watched of this.#turns[this.#turn]!) {
      if (watched.heard === watched.session.chunksHeard) watched.dead();
    }
    this.#turn = (this.#turn + 1) % turnsPerRound;
    for (const watched of this.#turns[this.#turn]!) {
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
    let emptiest = this.#turns[this.#turn]!;
    for (let back = 1; back < turnsPerRound; back += 1) {
      const turn = this.#turns[(this.#turn + turnsPerRound - back) % turnsPerRound]!;
      if (turn.size < emptiest.size) emptiest = turn;
    }
    return emptiest;
  }
}
