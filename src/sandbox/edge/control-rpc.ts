import { Reframer } from '../../tunnel/wire/capnp-framing.ts';
import {
  decodeRegisterConnection,
  decodeUpdateLocalConfiguration,
  encodeBootstrapResults,
  encodeEmptyResults,
  encodeRegistrationResult,
  type Registration,
  type RegistrationResult,
  registrationInterface,
  registrationMethods,
} from '../../tunnel/wire/registration.ts';
import {
  decodeRpcMessage,
  type ExceptionKind,
  encodeAbort,
  encodeReturnedException,
  encodeUnimplemented,
  type RpcCall,
} from '../../tunnel/wire/rpc-messages.ts';

/** What the connector's calls lead to; called in the order of the calls. */
export interface RegistrationCalls {
  register(registration: Registration): RegistrationResult;
  unregister(): void;
  /** The JSON that a locally managed connector sends; not checked. */
  configure(config: Buffer): void;
}

/** What a chunk led to. After `over` the stream carries nothing more; `over` says why. */
export interface ControlOutput {
  readonly frames: readonly Buffer[];
  readonly over: string | null;
}

/** Only updateLocalConfiguration comes near it. */
const maxMessageBytes = 1 << 20;
/** Questions that a connector may leave unfinished; cloudflared has two. */
const maxOpenQuestions = 64;
/** The one capability that the edge hosts. */
const bootstrapExport = 0;

/**
 * The edge's end of the control stream: Cap'n Proto RPC, level 0, with calls pipelined on the bootstrap (protocol
 * page section 6). Bytes in, frames out.
 */
export class ControlRpc {
  readonly #calls: RegistrationCalls;
  readonly #reframer = new Reframer(maxMessageBytes);
  /** By question id, until it is finished: was it a Bootstrap? */
  readonly #answered = new Map<number, boolean>();
  #over: string | null = null;

  constructor(calls: RegistrationCalls) {
    this.#calls = calls;
  }

  receive(chunk: Uint8Array): ControlOutput {
    const frames: Buffer[] = [];
    const reframed = this.#over === null ? this.#reframer.push(chunk) : { ok: true as const, value: [] };
    if (!reframed.ok) frames.push(this.#abort(reframed.problem));
    else {
      for (const frame of reframed.value) {
        if (this.#over !== null) break;
        const reply = this.#handle(frame);
        if (reply !== null) frames.push(reply);
      }
    }
    return { frames, over: this.#over };
  }

  #handle(frame: Buffer): Buffer | null {
    const message = decodeRpcMessage(frame);
    if (!message.ok) return this.#abort(message.problem);
    switch (message.value.type) {
      case 'bootstrap': {
        const { questionId } = message.value;
        return this.#open(questionId, true) ?? encodeBootstrapResults(questionId, bootstrapExport);
      }
      case 'call':
        return this.#open(message.value.questionId, false) ?? this.#call(message.value);
      case 'finish':
        this.#answered.delete(message.value.questionId);
        return null;
      case 'release':
      case 'unimplemented':
        return null;
      case 'abort':
        this.#over = message.value.exception.reason;
        return null;
      case 'return':
      case 'other':
        return encodeUnimplemented(frame);
    }
  }

  /** Null, or why the question cannot be taken. */
  #open(questionId: number, isBootstrap: boolean): Buffer | null {
    if (this.#answered.has(questionId)) return this.#abort(`question ${questionId} is asked twice`);
    if (this.#answered.size >= maxOpenQuestions)
      return this.#abort(`more than ${maxOpenQuestions} questions`);
    this.#answered.set(questionId, isBootstrap);
    return null;
  }

  #call(call: RpcCall): Buffer {
    const refuse = (kind: ExceptionKind, reason: string): Buffer =>
      encodeReturnedException(call.questionId, { kind, reason });
    const { target } = call;
    const isOurs =
      target.kind === 'imported'
        ? target.id === bootstrapExport
        : this.#answered.get(target.questionId) === true;
    if (!isOurs) return refuse('failed', 'the target of the call is not hosted here');
    if (call.interfaceId !== registrationInterface) {
      return refuse('unimplemented', `interface ${call.interfaceId.toString(16)} is not implemented`);
    }
    switch (call.methodId) {
      case registrationMethods.registerConnection: {
        const registration = decodeRegisterConnection(call.params);
        if (!registration.ok) return refuse('failed', registration.problem);
        return encodeRegistrationResult(call.questionId, this.#calls.register(registration.value));
      }
      case registrationMethods.unregisterConnection:
        this.#calls.unregister();
        return encodeEmptyResults(call.questionId);
      case registrationMethods.updateLocalConfiguration: {
        const config = decodeUpdateLocalConfiguration(call.params);
        if (!config.ok) return refuse('failed', config.problem);
        this.#calls.configure(config.value);
        return encodeEmptyResults(call.questionId);
      }
      default:
        return refuse('unimplemented', `method ${call.methodId} is not implemented`);
    }
  }

  #abort(reason: string): Buffer {
    this.#over = reason;
    return encodeAbort({ kind: 'failed', reason });
  }
}
