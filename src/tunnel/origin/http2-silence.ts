import type { Clock, Timer } from '../../time/clock.ts';

const tickMs = 5_000;
/** Ticks without a word, in which a PING is due. */
const silentTicks = 2;
/** Ticks in which its answer, or anything else, is to come. */
const answerTicks = 9;

/**
 * How long an origin may leave a PING without an answer, milliseconds: one with a single thread answers none while that
 * works on a request, and is alive. It is well within the hundred seconds after which Cloudflare answers 524 itself.
 */
export const pingTimeoutMs = answerTicks * tickMs;

/**
 * Servers of gRPC end a session (ENHANCE_YOUR_CALM, `too_many_pings`) at the third PING that is too early: one within
 * five minutes of the last while they sent no HEADERS and no DATA. The first behind those is never too early; if what we
 * heard of them had left before our last PING came, it was that one. So there is one more at most, and then it takes
 * these minutes, milliseconds.
 */
const pingsPerMessage = 2;
const patientPingMs = 5 * 60_000 + tickMs;

/** Whom the watch is over. The counts change whenever something happens. */
export interface WatchedSession {
  readonly openStreams: number;
  readonly newestId: number;
  readonly chunksHeard: number;
  readonly messageFramesHeard: number;
  ping(): void;
}

/**
 * Finds out that the host of a session is gone without a word, while streams are open: TCP would notice after a quarter of
 * an hour. A PING is sent after 10 to 15 s of silence; where none is answered the session is dead within 60 s of the
 * last word, or 50 s of a request that was the first for a while. Of later silences only those are looked into in which
 * requests were sent. Time is counted in ticks: when the thread itself stood still, what had come meanwhile is read
 * before the next tick. One timer, which runs on for one tick after the last stream.
 */
export class SilenceWatch {
  readonly #session: WatchedSession;
  readonly #clock: Clock;
  readonly #dead: () => void;
  #timer: Timer | null = null;
  #chunksHeard = 0;
  /** Ticks since something was heard, or since the PING. A session is no news to begin with. */
  #ticks = silentTicks - 1;
  #pinged = false;
  #pingedAtMs = Number.NEGATIVE_INFINITY;
  /** Of when the last PING was sent. */
  #messageFrames = 0;
  #newestId = 0;
  #pings = 0;

  /** `dead` is called once, if at all; the watch is over then. */
  constructor(session: WatchedSession, clock: Clock, dead: () => void) {
    this.#session = session;
    this.#clock = clock;
    this.#dead = dead;
  }

  /** A request is sent. */
  begin(): void {
    this.#timer ??= this.#clock.after(tickMs, this.#tick);
  }

  /** Idempotent. */
  end(): void {
    this.#timer?.cancel();
  }

  readonly #tick = (): void => {
    this.#timer = null;
    const { chunksHeard, openStreams } = this.#session;
    const heard = chunksHeard !== this.#chunksHeard;
    if (heard) {
      this.#chunksHeard = chunksHeard;
      this.#pinged = false;
    }
    if (openStreams === 0) {
      if (!this.#pinged) this.#ticks = silentTicks - 1;
      return;
    }
    this.#ticks = heard ? 0 : this.#ticks + 1;
    if (this.#pinged && this.#ticks >= answerTicks) return this.#dead();
    if (!this.#pinged && this.#ticks >= silentTicks && this.#mayPing()) this.#ping();
    this.#timer = this.#clock.after(tickMs, this.#tick);
  };

  #mayPing(): boolean {
    const { messageFramesHeard, newestId } = this.#session;
    if (messageFramesHeard !== this.#messageFrames) {
      this.#pings = 0;
      return true;
    }
    if (newestId !== this.#newestId && this.#pings < pingsPerMessage) return true;
    return this.#clock.monotonic() - this.#pingedAtMs >= patientPingMs;
  }

  #ping(): void {
    this.#messageFrames = this.#session.messageFramesHeard;
    this.#newestId = this.#session.newestId;
    this.#pingedAtMs = this.#clock.monotonic();
    this.#pings += 1;
    this.#pinged = true;
    this.#ticks = 0;
    this.#session.ping();
  }
}
