import { type Doubt, type HostStep, isRegretted } from '../domain/host-plan.ts';
import { bereft, isLaterVersion } from '../domain/ledger.ts';
import { dispositionOf, type Fault, isCloudflareAway, type Result } from '../fault.ts';
import type { ActorContext } from '../kernel/actor.ts';
import { type Backoff, backoffDelayMs } from '../time/backoff.ts';
import { dueStep, type HostState } from './host-state.ts';
import { carryOut, type StepWorld } from './host-steps.ts';
import type { IngressNotes } from './ingress-notes.ts';
import type { IngressMessage, StepOutcome } from './messages.ts';
import type { ActorLog } from './ports.ts';
import { whileLeading } from './while-leading.ts';

/** A step that failed is tried again for ever. */
const retryBackoff: Backoff = { baseMs: 1_000, capMs: 120_000, healthyAfterMs: 0 };

/** Some seconds: what passes sooner nobody needs to hear of. */
const attemptsUntilMissed = 3;

/**
 * What only a person can mend is looked at again this often all the same, because nobody tells us when a
 * foreign DNS record or a quota has changed.
 */
const awaitChangeBackoff: Backoff = { baseMs: 300_000, capMs: 300_000, healthyAfterMs: 0 };

/**
 * Of a tunnel that others are connected to, as a rule replicas that let requests of the host finish as we did. They end
 * at their grace period; whoever is connected later than that is none of them, or dead.
 */
const inUseBackoff: Backoff = { baseMs: 1_000, capMs: 10_000, healthyAfterMs: 0 };
const inUseSlackMs = 5_000;

/** A tunnel that the edge goes on refusing, or that has no usable token, is looked after at Cloudflare at most this often. */
const verifyEveryMs = 300_000;

/**
 * How often a host's records are looked at (two calls), give or take a half, so that 1,000 hosts cost six calls
 * a minute. The first time is that long after the start: a restart costs nothing.
 */
const dnsLookEveryMs = 6 * 3_600_000;

/** Cloudflare may still carry out a removal that was given up, also after the records were looked at. */
const lookAfterRegretMs = 60_000;

interface UpkeepWorld extends StepWorld {
  readonly log: ActorLog;
  readonly random: () => number;
  readonly graceMs: number;
}

/**
 * Brings hosts at Cloudflare and in the ledger towards what is intended: one step per host at a time, with
 * retries, and a look from time to time whether it is still so. Rests while another replica leads. Works on the
 * ingress actor's own host states.
 */
export class HostUpkeep {
  readonly #context: ActorContext<IngressMessage>;
  readonly #world: UpkeepWorld;
  readonly #notes: IngressNotes;

  constructor(context: ActorContext<IngressMessage>, world: UpkeepWorld, notes: IngressNotes) {
    this.#context = context;
    this.#world = world;
    this.#notes = notes;
  }

  /**
   * Starts the step that is due, if there is one; `step.done` follows. A removal in flight of what is wanted again is
   * given up: its calls may hang and be repeated, and would take away what serves by then.
   */
  advance(state: HostState, ingress: string, putOff: boolean): void {
    if (state.stepInFlight !== null) {
      const { step, regret } = state.stepInFlight;
      if (isRegretted(step, state.intent)) regret.abort();
      return;
    }
    const { leadership } = this.#world;
    const step = leadership.isLeading ? dueStep(state, putOff) : null;
    if (step === null) return;
    const regret = new AbortController();
    state.stepInFlight = { step, regret, isOutlived: false };
    const { host, ledger, intent } = state;
    const nowMs = this.#context.clock.monotonic();
    state.removingSinceMs = step === 'remove-tunnel' ? (state.removingSinceMs ?? nowMs) : null;
    const publishes = intent.kind === 'wanted' && intent.dns === 'managed';
    const force = nowMs >= this.#forcedAtMs(state);
    const input = { host, ingress, ledger, wanted: intent.kind === 'wanted', publishes, force };
    this.#context.run(
      (signal) =>
        whileLeading(leadership, AbortSignal.any([signal, regret.signal]), (whileWeLead) =>
          carryOut(step, input, this.#world, whileWeLead),
        ),
      (result) => ({ type: 'step.done', host, step, result }),
    );
  }

  done(state: HostState, step: HostStep, result: Result<StepOutcome>): void {
    const isGivenUp = state.stepInFlight?.regret.signal.aborted === true;
    const isOutlived = state.stepInFlight?.isOutlived === true;
    state.stepInFlight = null;
    if (result.ok) return this.#succeeded(state, step, result.value);
    // Half done, perhaps: should the host be wanted after all (as it is when given up), it is looked at.
    if (step === 'withdraw-dns' && state.doubt === 'none') state.doubt = 'dns';
    if (step === 'remove-tunnel') state.doubt = 'tunnel';
    if (isGivenUp) return this.#givenUp(state, step);
    if (result.fault.code === 'tunnel-in-use') return this.#inUse(state);
    if (isOutlived && isCloudflareAway(result.fault)) return;
    if (result.fault.code !== 'not-leading') this.#failed(state, step, result.fault);
  }

  /**
   * Somebody else changed the Secret, or our own write comes back by the watch: then it is not later. False when it says
   * nothing new for now.
   */
  ledgerSeen(state: HostState, message: Extract<IngressMessage, { type: 'ledger.seen' }>): boolean {
    if (state.stepInFlight !== null) {
      // What the step makes of the ledger is heard first.
      state.seenMeanwhile = message;
      return false;
    }
    const { entry, version } = message;
    const known = state.ledger;
    if (known !== null && !isLaterVersion(version, known.resourceVersion)) return false;
    state.ledger = entry;
    if (entry === null && known !== null && state.cleared !== 'tunnel' && this.#world.leadership.isLeading) {
      // Not by us, who clear first: somebody has taken it away, and nobody else knows what there is at Cloudflare.
      state.ledger = bereft(known);
      state.doubt = 'tunnel';
    }
    // Whoever wrote it may have made again what we had removed.
    state.cleared = 'nothing';
    // A Secret that was in the way, another install's or one that is no ledger, may be so no longer.
    if (state.fault?.code === 'host-taken' || state.fault?.code === 'kube-refused') this.retryNow(state);
    return true;
  }

  /** Something has changed: what waited for its next try is tried at once. */
  retryNow(state: HostState): void {
    state.retry?.cancel();
    state.retry = null;
    state.attempts = 0;
  }

  /**
   * What waits for nothing else is tried at once, and what is under way is if it fails yet; the budget of calls paces a
   * thousand of them.
   */
  cloudflareReturned(state: HostState): void {
    if (state.stepInFlight !== null) state.stepInFlight.isOutlived = true;
    if (state.fault !== null && isCloudflareAway(state.fault)) this.retryNow(state);
  }

  /** What failed or was given up under another leadership says nothing about the next try. */
  leadershipChanged(state: HostState): void {
    this.retryNow(state);
    state.fault = null;
    state.warned.clear();
  }

  /** Deleted or given another secret at Cloudflare; or the edge is wrong, so what runs goes on meanwhile. */
  doubtTunnel(state: HostState, child: string): void {
    if (state.tunnels.registeredOf(child) === 0) this.#verify(state, 'tunnel refused by the edge, verifying');
  }

  /** What the ledger has is no token: somebody has changed the Secret. Whatever serves does so with another one. */
  doubtToken(state: HostState): void {
    this.#verify(state, 'tunnel token not usable, verifying');
  }

  doubtDns(state: HostState): void {
    if (this.#world.leadership.isLeading && state.doubt === 'none') state.doubt = 'dns';
    this.lookLater(state);
  }

  /** The state owns the timer. */
  lookLater(state: HostState, everyMs = dnsLookEveryMs): void {
    const delayMs = everyMs * (0.5 + this.#world.random());
    state.look?.cancel();
    state.look = this.#context.after(delayMs, { type: 'dns.doubted', host: state.host });
  }

  #verify(state: HostState, message: string): void {
    const nowMs = this.#context.clock.monotonic();
    if (!this.#world.leadership.isLeading || nowMs - state.verifiedAtMs < verifyEveryMs) return;
    state.verifiedAtMs = nowMs;
    state.doubt = 'tunnel';
    this.#world.log.warn({ host: state.host, tunnel: state.ledger?.tunnel?.id }, message);
  }

  #succeeded(state: HostState, step: HostStep, outcome: StepOutcome): void {
    this.#notes.stepSucceeded(state.host);
    state.fault = null;
    state.warned.clear();
    state.attempts = 0;
    if (state.doubt === doubtDispelledBy[step]) state.doubt = 'none';
    state.ledger = outcome.ledger;
    state.cleared = outcome.cleared;
    if (state.intent.kind !== 'unwanted') state.cleared = 'nothing';
  }

  /** Nothing failed, so nothing is waited for. */
  #givenUp(state: HostState, step: HostStep): void {
    state.fault = null;
    state.attempts = 0;
    if (step === 'withdraw-dns') this.lookLater(state, lookAfterRegretMs);
    this.#world.log.info({ host: state.host, step }, 'step given up: what it removes is wanted again');
  }

  #inUse(state: HostState): void {
    const { host } = state;
    const leftMs = this.#forcedAtMs(state) - this.#context.clock.monotonic();
    const retryInMs = Math.min(backoffDelayMs(inUseBackoff, state.attempts++, this.#world.random()), leftMs);
    state.retry = this.#context.after(Math.max(0, retryInMs), { type: 'step.due', host });
    this.#world.log.info({ host, retryInMs }, 'tunnel not removed yet: others are connected to it');
  }

  #forcedAtMs({ removingSinceMs }: HostState): number {
    return (removingSinceMs ?? Number.POSITIVE_INFINITY) + this.#world.graceMs + inUseSlackMs;
  }

  #failed(state: HostState, step: HostStep, fault: Fault): void {
    const { host } = state;
    const backoff = dispositionOf(fault.code) === 'await-change' ? awaitChangeBackoff : retryBackoff;
    const delayMs = backoffDelayMs(backoff, state.attempts, this.#world.random());
    const retryInMs = Math.max(delayMs, fault.retryAfterMs ?? 0);
    const isNews = state.warned.isNews(fault.code, this.#context.clock.monotonic());
    state.fault = fault;
    state.attempts += 1;
    state.retry = this.#context.after(retryInMs, { type: 'step.due', host });
    const fields = { host, step, code: fault.code, detail: fault.message, retryInMs };
    this.#world.log[isNews ? 'warn' : 'debug'](fields, 'step failed');
    const isServed = state.tunnels.registered > 0 || state.intent.kind !== 'wanted';
    this.#notes.stepFailed(host, fault, !isServed && state.attempts >= attemptsUntilMissed);
  }
}

const doubtDispelledBy: Partial<Record<HostStep, Doubt>> = {
  'create-tunnel': 'tunnel',
  'verify-tunnel': 'tunnel',
  'publish-dns': 'dns',
};
