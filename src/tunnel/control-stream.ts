import { type Fault, fault, unreachable } from '../fault.ts';
import type { Clock, Timer } from '../time/clock.ts';
import type { EdgeStream } from './edge-session.ts';
import type { StreamHandler } from './http2/stream.ts';
import { Reframer } from './wire/capnp-framing.ts';
import { http2Error } from './wire/http2-errors.ts';
import {
  decodeBootstrapResults,
  decodeRegistrationResult,
  encodeRegisterConnection,
  encodeUnregisterConnection,
  encodeUpdateLocalConfiguration,
  type Registration,
} from './wire/registration.ts';
import {
  type CallTarget,
  decodeRpcMessage,
  encodeAbort,
  encodeBootstrap,
  encodeFinish,
  encodeRelease,
  encodeReturnedException,
  encodeUnimplemented,
  type RpcReturn,
} from './wire/rpc-messages.ts';

/** Bound of every call, milliseconds; cloudflared's `--rpc-timeout`. */
export const rpcTimeoutMs = 5000;

/** The longest wait that the edge may ask for with `retryAfter`, milliseconds. */
export const maxRetryAfterMs = 5 * 60_000;

/** Wait after a refusal that the edge calls final. We still try: somebody may repair what was refused. */
export const finalRefusalRetryMs = 30_000;

/** Of a text from the edge that goes into a fault or a fact. */
const maxShownLength = 200;

export interface ControlStreamEvents {
  registered(details: RegisteredDetails): void;
  /** The stream cannot be used any more, before or after `registered`. At most once; nothing follows. */
  lost(fault: Fault): void;
  /** The edge did not take the local configuration. Not fatal. */
  configurationRefused(fault: Fault): void;
}

export interface RegisteredDetails {
  readonly connectionId: string;
  readonly location: string;
  readonly remotelyManaged: boolean;
}

type Answer = Exclude<RpcReturn['result'], { kind: 'other' }> | { readonly kind: 'timeout' };

interface Question {
  readonly timer: Timer;
  readonly answered: (answer: Answer) => void;
}

/**
 * The connector's side of the control stream (protocol page section 6): an RPC client that registers the
 * connection as soon as it is made, and later unregisters it. Hosts no capability. The owner routes the
 * stream's events here and calls `destroy` when the connection ends.
 */
export class ControlStream implements StreamHandler {
  readonly #stream: EdgeStream;
  readonly #clock: Clock;
  readonly #events: ControlStreamEvents;
  readonly #reframer = new Reframer();
  /** By question id; one that timed out stays, as null, until its late Return, so that its id is not reused. */
  readonly #questions = new Map<number, Question | null>();
  /** Import id of the registration capability; null until Bootstrap was answered. */
  #capability: number | null = null;
  #state: 'open' | 'closing' | 'ended' = 'open';

  constructor(stream: EdgeStream, registration: Registration, clock: Clock, events: ControlStreamEvents) {
    this.#stream = stream;
    this.#clock = clock;
    this.#events = events;
    stream.respond(200, ['content-type', 'application/octet-stream'], false);
    this.#ask(encodeBootstrap, (answer) => this.#bootstrapped(answer));
    this.#ask(
      (questionId) => encodeRegisterConnection({ questionId, target: this.#target() }, registration),
      (answer) => this.#registered(answer),
    );
  }

  /** Offers the JSON of protocol page section 7.3. Only after `registered`. */
  updateLocalConfiguration(config: Uint8Array): void {
    this.#ask(
      (questionId) => encodeUpdateLocalConfiguration({ questionId, target: this.#target() }, config),
      (answer) => {
        if (answer.kind !== 'results') this.#events.configurationRefused(answerFault(answer));
      },
    );
  }

  /** Unregisters, ends the stream, then calls `done`; also when the edge does not answer in time or is gone. */
  unregister(done: () => void): void {
    if (this.#state !== 'open') return done();
    this.#state = 'closing';
    this.#ask(
      (questionId) => encodeUnregisterConnection({ questionId, target: this.#target() }),
      () => {
        if (this.#state === 'closing') this.#sendEnd();
        done();
      },
    );
  }

  /** Forgets all timers and questions; touches the stream no more. Idempotent. */
  destroy(): void {
    this.#state = 'ended';
    const questions = [...this.#questions.values()];
    this.#questions.clear();
    for (const question of questions) question?.timer.cancel();
  }

  data(chunk: Buffer): void {
    if (this.#state === 'ended') return;
    const frames = this.#reframer.push(chunk);
    if (!frames.ok) return this.#malformed(frames.problem);
    for (const frame of frames.value) this.#receive(frame);
  }

  /** cloudflared goes on without its control stream and only notices at shutdown; we reconnect at once. */
  end(): void {
    this.#gone('the edge ended the control stream');
  }

  reset(code: number): void {
    this.#gone(`the edge reset the control stream with code ${code}`);
  }

  drain(): void {
    this.#stream.resume();
  }

  #receive(frame: Buffer): void {
    if (this.#state === 'ended') return;
    const message = decodeRpcMessage(frame);
    if (!message.ok) return this.#malformed(message.problem);
    switch (message.value.type) {
      case 'return':
        return this.#returned(message.value);
      case 'abort':
        return this.#gone(`the edge aborted the RPC: ${shown(message.value.exception.reason)}`);
      case 'unimplemented':
        if (message.value.questionId === null) return;
        return this.#settle(message.value.questionId, {
          kind: 'exception',
          exception: { reason: 'not implemented by the edge', kind: 'unimplemented' },
        });
      case 'bootstrap':
      case 'call':
        this.#say(
          encodeReturnedException(message.value.questionId, {
            reason: 'a connector hosts no capability',
            kind: 'unimplemented',
          }),
        );
        return;
      case 'finish':
      case 'release':
        return;
      case 'other':
        this.#say(encodeUnimplemented(frame));
        return;
      default:
        return unreachable(message.value);
    }
  }

  #returned({ answerId, result }: RpcReturn): void {
    if (!this.#questions.has(answerId))
      return this.#malformed(`a Return answers the unknown question ${answerId}`);
    if (result.kind === 'other') return this.#malformed(`a Return is of the unexpected kind ${result.tag}`);
    // Sent after a timeout already; a canceled question needs none.
    const asked = this.#questions.get(answerId) !== null;
    if (asked && result.kind !== 'canceled') this.#say(encodeFinish(answerId, false));
    this.#settle(answerId, result);
  }

  #settle(questionId: number, answer: Answer): void {
    const question = this.#questions.get(questionId);
    this.#questions.delete(questionId);
    if (!question) return;
    question.timer.cancel();
    question.answered(answer);
  }

  #bootstrapped(answer: Answer): void {
    if (answer.kind !== 'results') return this.#lost(answerFault(answer));
    const capability = decodeBootstrapResults(answer.payload);
    if (!capability.ok) return this.#malformed(capability.problem);
    this.#capability = capability.value;
  }

  #registered(answer: Answer): void {
    if (answer.kind !== 'results') return this.#lost(answerFault(answer));
    const result = decodeRegistrationResult(answer.payload);
    if (!result.ok) return this.#malformed(result.problem);
    if (result.value.kind === 'refused') return this.#lost(refusal(result.value));
    const { connectionId, locationName, remotelyManaged } = result.value;
    this.#events.registered({ connectionId, location: shown(locationName), remotelyManaged });
  }

  /** Pipelined on Bootstrap until that is answered. */
  #target(): CallTarget {
    return this.#capability === null
      ? { kind: 'promised', questionId: bootstrapQuestion }
      : { kind: 'imported', id: this.#capability };
  }

  #ask(encode: (questionId: number) => Buffer, answered: (answer: Answer) => void): void {
    let questionId = 0;
    while (this.#questions.has(questionId)) questionId++;
    const timer = this.#clock.after(rpcTimeoutMs, () => {
      this.#questions.set(questionId, null);
      this.#say(encodeFinish(questionId, true));
      answered({ kind: 'timeout' });
    });
    this.#questions.set(questionId, { timer, answered });
    this.#say(encode(questionId));
  }

  /** An edge that does not take what it is answered is asked to wait with what it says. */
  #say(message: Buffer): void {
    if (!this.#stream.write(message)) this.#stream.pause();
  }

  /** The last words of a client that leaves; the edge needs none of them. */
  #sendEnd(): void {
    if (this.#capability !== null) this.#say(encodeRelease(this.#capability, 1));
    this.#say(encodeAbort({ reason: 'rpc: shutdown', kind: 'failed' }));
    this.#stream.end();
    this.destroy();
  }

  #malformed(problem: string): void {
    this.#stream.reset(http2Error.protocolError);
    this.#lost(fault('edge-protocol', `the edge's RPC: ${problem}`));
  }

  #gone(what: string): void {
    this.#lost(fault('edge-lost', what));
  }

  /** A stream that breaks while we unregister has ended as we wanted: whoever waits for that goes on. */
  #lost(cause: Fault): void {
    if (this.#state === 'ended') return;
    const closing = this.#state === 'closing';
    const questions = [...this.#questions.values()];
    this.destroy();
    if (!closing) return this.#events.lost(cause);
    for (const question of questions) question?.answered({ kind: 'canceled' });
  }
}

const bootstrapQuestion = 0;

function shown(text: string): string {
  return text.slice(0, maxShownLength);
}

function answerFault(answer: Answer): Fault {
  switch (answer.kind) {
    case 'timeout':
      return fault('edge-timeout', `the edge did not answer a call within ${rpcTimeoutMs} ms`);
    case 'exception':
      return fault('edge-refused', `the edge answered with an exception: ${shown(answer.exception.reason)}`);
    case 'canceled':
      return fault('edge-protocol', 'the edge canceled a call that nobody had canceled');
    case 'results':
      return fault('bug', 'an answer was taken for a failure');
    default:
      return unreachable(answer);
  }
}

/** Protocol page section 6.7. The class of a refusal decides whether the next attempt goes elsewhere. */
function refusal(refused: { cause: string; retryAfterNanoseconds: bigint; shouldRetry: boolean }): Fault {
  const cause = shown(refused.cause);
  const askedMs = Math.min(Number(refused.retryAfterNanoseconds / 1_000_000n), maxRetryAfterMs);
  const retryAfterMs = askedMs > 0 ? askedMs : undefined;
  if (cause === 'EDUPCONN') {
    return fault('edge-duplicate', 'this edge server already has the connection (EDUPCONN)', retryAfterMs);
  }
  const message = `the edge refused the registration: ${cause}`;
  // Meant for the time until a new tunnel is known everywhere, so it is tried again soon.
  if (cause.includes('Unauthorized')) return fault('edge-unauthorized', message, retryAfterMs);
  if (refused.shouldRetry) return fault('edge-refused', message, retryAfterMs);
  return fault('edge-refused', message, Math.max(askedMs, finalRefusalRetryMs));
}
