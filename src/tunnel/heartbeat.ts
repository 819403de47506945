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
  /** When it was sent the first PING after which nothing came. */
  askedAtMs: number;
}

/**
 * Watches over all connections of one thread with one timer. A connection that idles costs little but its PINGs, so
 * those of a tick are sent, and their answers come, in one turn of the event loop. Time is counted in ticks: when
 * the thread itself stood still, what had come meanwhile is read before the next tick.
 *
 * Silence of many at once may be an edge, a network or a machine that is too busy to answer, and to replace them all
 * would make it busier still: each new connection is as much work as a hundred PINGs, and so one stall ended all
 * connections there were. So one silent connection of a turn is dead, and what replaces it shows about the others: when
 * one that was dialled later than they were asked has registered, which takes the edge several steps, they will not
 * answer any more. Where nobody gets on at all, `maxUnansweredPings` is the bound.
 */
export class Heartbeat {
  readonly #clock: Clock;
  readonly #turns: readonly Set<Watched>[] = Array.from({ length: turnsPerRound }, () => new Set());
  /** Those that were silent when their turn ended, and may yet live. */
  readonly #silent = new Set<Watched>();
  /** When the latest connection that has registered was dialled. */
  #cameThroughMs = Number.NEGATIVE_INFINITY;
  #watched = 0;
  /** Whose turn it was last, and the ticks since. */
  #turn = 0;
  #ticks = 0;
  #timer: Timer | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Calls `dead` once the peer is. `dialledAtMs` is when the connection, which has just registered, was begun. The caller
   * owns the watch, ends it when the session ends, and in `dead`.
   */
  watch(session: Pinged, dialledAtMs: number, dead: () => void): { end(): void } {
    const watched: Watched = { session, dead, heard: -1, askedAtMs: Number.POSITIVE_INFINITY };
    this.#cameThroughMs = Math.max(this.#cameThroughMs, dialledAtMs);
    const turn = this.#emptiestTurn();
    turn.add(watched);
    this.#watched += 1;
    this.#timer ??= this.#clock.after(tickMs, this.#beat);
    return {
      end: () => {
        if (!turn.delete(watched)) return;
        this.#silent.delete(watched);
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
    if (this.#ticks === ticksPerTurn) this.#endTurn();
    for (const watched of this.#silent) {
      if (!isSilent(watched)) this.#silent.delete(watched);
      else if (watched.askedAtMs < this.#cameThroughMs) watched.dead();
    }
    if (this.#ticks === ticksPerTurn) this.#beginTurn();
  };

  #endTurn(): void {
    const silent = [...this.#turns[this.#turn]!].filter(isSilent);
    // All of them before one is dead, whose owner may end others.
    for (const watched of silent) this.#silent.add(watched);
    silent[0]?.dead();
  }

  #beginTurn(): void {
    this.#ticks = 0;
    this.#turn = (this.#turn + 1) % turnsPerRound;
    for (const watched of this.#turns[this.#turn]!) {
      const { session } = watched;
      if (session.unansweredPings > maxUnansweredPings) watched.dead();
      else {
        if (!isSilent(watched)) watched.askedAtMs = this.#clock.monotonic();
        watched.heard = session.chunksHeard;
        session.ping();
      }
    }
  }

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

/** Nothing came since it was asked. */
function isSilent({ heard, session }: Watched): boolean {
  return heard === session.chunksHeard;
}
