import { segmentsOf, wordBytes } from './capnp-framing.ts';
import { type PointerReader, readMessage, type StructReader } from './capnp-reader.ts';
import { MessageBuilder, type PointerBuilder, type StructBuilder } from './capnp-writer.ts';
import { type Decoded, decoded, MalformedError } from './malformed.ts';

/**
 * The part of Cap'n Proto's RPC protocol (rpc.capnp, level 0 and calls pipelined on the bootstrap) that the
 * registration uses, in both directions: the connector is the client, an edge the server.
 */

export type RpcMessage =
  | { readonly type: 'unimplemented'; readonly questionId: number | null }
  | { readonly type: 'abort'; readonly exception: RpcException }
  | { readonly type: 'bootstrap'; readonly questionId: number }
  | RpcCall
  | RpcReturn
  | { readonly type: 'finish'; readonly questionId: number; readonly releaseResultCaps: boolean }
  | { readonly type: 'release'; readonly id: number; readonly referenceCount: number }
  /** Any kind that the registration never needs; the answer to it is `encodeUnimplemented`. */
  | { readonly type: 'other'; readonly tag: number };

export interface RpcCall {
  readonly type: 'call';
  readonly questionId: number;
  readonly target: CallTarget;
  readonly interfaceId: bigint;
  readonly methodId: number;
  readonly params: Payload;
}

export interface RpcReturn {
  readonly type: 'return';
  readonly answerId: number;
  readonly releaseParamCaps: boolean;
  readonly result:
    | { readonly kind: 'results'; readonly payload: Payload }
    | { readonly kind: 'exception'; readonly exception: RpcException }
    | { readonly kind: 'canceled' }
    | { readonly kind: 'other'; readonly tag: number };
}

/** An imported capability by the exporter's id, or the (not yet known) answer to a question. */
export type CallTarget =
  | { readonly kind: 'imported'; readonly id: number }
  | { readonly kind: 'promised'; readonly questionId: number };

export interface Payload {
  /** Decoded by whoever knows the method; reading it can throw `MalformedError`. */
  readonly content: PointerReader;
  readonly capTable: readonly CapDescriptor[];
}

export interface CapDescriptor {
  readonly kind: (typeof capKinds)[number];
  readonly id: number;
}

export interface RpcException {
  readonly reason: string;
  readonly kind: ExceptionKind;
}

export type ExceptionKind = 'failed' | 'overloaded' | 'disconnected' | 'unimplemented';

/** Fills the content pointer of a payload. */
export type WriteContent = (content: PointerBuilder) => void;

const capKinds = [
  'none',
  'senderHosted',
  'senderPromise',
  'receiverHosted',
  'receiverAnswer',
  'unknown',
] as const;
const exceptionKinds: readonly ExceptionKind[] = ['failed', 'overloaded', 'disconnected', 'unimplemented'];

/** Union tags of `Message`. */
const tags = {
  unimplemented: 0,
  abort: 1,
  call: 2,
  return: 3,
  finish: 4,
  release: 6,
  bootstrap: 8,
} as const;

/** Decodes one whole frame, except the contents of payloads. */
export function decodeRpcMessage(frame: Buffer): Decoded<RpcMessage> {
  return decoded(() => readRpcMessage(readMessage(frame).struct()));
}

function readRpcMessage(message: StructReader): RpcMessage {
  const tag = message.uint16(0);
  const body = message.pointer(0);
  switch (tag) {
    case tags.unimplemented:
      return { type: 'unimplemented', questionId: questionOf(body.struct()) };
    case tags.abort:
      return { type: 'abort', exception: readException(body.struct()) };
    case tags.call:
      return readCall(body.struct());
    case tags.return:
      return readReturn(body.struct());
    case tags.finish: {
      const finish = body.struct();
      return { type: 'finish', questionId: finish.uint32(0), releaseResultCaps: !finish.bool(32) };
    }
    case tags.release: {
      const release = body.struct();
      return { type: 'release', id: release.uint32(0), referenceCount: release.uint32(4) };
    }
    case tags.bootstrap:
      return { type: 'bootstrap', questionId: body.struct().uint32(0) };
    default:
      return { type: 'other', tag };
  }
}

/** Which question the peer did not implement, if the echoed message asked one. */
function questionOf(echoed: StructReader): number | null {
  const tag = echoed.uint16(0);
  return tag === tags.call || tag === tags.bootstrap ? echoed.pointer(0).struct().uint32(0) : null;
}

function readCall(call: StructReader): RpcCall {
  const target = call.pointer(0).struct();
  const targetTag = target.uint16(4);
  if (targetTag > 1) throw new MalformedError(`a call has the unknown target kind ${targetTag}`);
  return {
    type: 'call',
    questionId: call.uint32(0),
    target:
      targetTag === 0
        ? { kind: 'imported', id: target.uint32(0) }
        : { kind: 'promised', questionId: readPromisedAnswer(target.pointer(0).struct()) },
    interfaceId: call.uint64(8),
    methodId: call.uint16(4),
    params: readPayload(call.pointer(1).struct()),
  };
}

function readPromisedAnswer(answer: StructReader): number {
  // Op 0 is "noop"; anything else picks a field of the answer, which a bootstrap's answer does not have.
  const picksField = answer
    .pointer(0)
    .structList()
    .some((op) => op.uint16(0) !== 0);
  if (picksField) throw new MalformedError('a call is pipelined on a field of an answer');
  return answer.uint32(0);
}

function readReturn(message: StructReader): RpcReturn {
  const head = {
    type: 'return',
    answerId: message.uint32(0),
    releaseParamCaps: !message.bool(32),
  } as const;
  const tag = message.uint16(6);
  switch (tag) {
    case 0:
      return { ...head, result: { kind: 'results', payload: readPayload(message.pointer(0).struct()) } };
    case 1:
      return {
        ...head,
        result: { kind: 'exception', exception: readException(message.pointer(0).struct()) },
      };
    case 2:
      return { ...head, result: { kind: 'canceled' } };
    default:
      return { ...head, result: { kind: 'other', tag } };
  }
}

function readPayload(payload: StructReader): Payload {
  const capTable = payload
    .pointer(1)
    .structList()
    .map((entry) => ({ kind: capKinds[entry.uint16(0)] ?? 'unknown', id: entry.uint32(4) }));
  return { content: payload.pointer(0), capTable };
}

function readException(exception: StructReader): RpcException {
  return {
    reason: exception.pointer(0).text(),
    kind: exceptionKinds[exception.uint16(4)] ?? 'failed',
  };
}

export function encodeBootstrap(questionId: number): Buffer {
  return encode(tags.bootstrap, (body) => body.struct(1, 1).uint32(0, questionId));
}

export function encodeCall(call: {
  readonly questionId: number;
  readonly target: CallTarget;
  readonly interfaceId: bigint;
  readonly methodId: number;
  readonly params: WriteContent;
}): Buffer {
  return encode(tags.call, (body) => {
    const struct = body.struct(3, 3);
    struct.uint32(0, call.questionId);
    struct.uint16(4, call.methodId);
    struct.uint64(8, call.interfaceId);
    const target = struct.pointer(0).struct(1, 1);
    if (call.target.kind === 'imported') {
      target.uint32(0, call.target.id);
    } else {
      target.uint16(4, 1);
      target.pointer(0).struct(1, 1).uint32(0, call.target.questionId);
    }
    writePayload(struct.pointer(1), call.params, []);
  });
}

/** `hosted` are the export ids of the capabilities that the content refers to by index. */
export function encodeResults(
  answerId: number,
  content: WriteContent,
  hosted: readonly number[] = [],
): Buffer {
  return encode(tags.return, (body) => {
    const struct = returnHead(body, answerId, 0);
    writePayload(struct.pointer(0), content, hosted);
  });
}

export function encodeReturnedException(answerId: number, exception: RpcException): Buffer {
  return encode(tags.return, (body) => writeException(returnHead(body, answerId, 1).pointer(0), exception));
}

export function encodeFinish(questionId: number, releaseResultCaps: boolean): Buffer {
  return encode(tags.finish, (body) => {
    const struct = body.struct(1, 0);
    struct.uint32(0, questionId);
    struct.bool(32, !releaseResultCaps);
  });
}

export function encodeRelease(id: number, referenceCount: number): Buffer {
  return encode(tags.release, (body) => {
    const struct = body.struct(1, 0);
    struct.uint32(0, id);
    struct.uint32(4, referenceCount);
  });
}

export function encodeAbort(exception: RpcException): Buffer {
  return encode(tags.abort, (body) => writeException(body, exception));
}

/** Echoes a frame that was not understood; of a message in several segments only the fact. */
export function encodeUnimplemented(frame: Buffer): Buffer {
  const [segment, ...more] = segmentsOf(frame);
  return encode(tags.unimplemented, (body) => {
    if (segment !== undefined && segment.length >= wordBytes && more.length === 0) body.graft(segment);
  });
}

function encode(tag: number, writeBody: WriteContent): Buffer {
  const builder = new MessageBuilder();
  const message = builder.root().struct(1, 1);
  message.uint16(0, tag);
  writeBody(message.pointer(0));
  return builder.frame();
}

function returnHead(body: PointerBuilder, answerId: number, tag: number): StructBuilder {
  const struct = body.struct(2, 1);
  struct.uint32(0, answerId);
  struct.uint16(6, tag);
  return struct;
}

function writePayload(pointer: PointerBuilder, content: WriteContent, hosted: readonly number[]): void {
  const payload = pointer.struct(0, 2);
  content(payload.pointer(0));
  for (const [index, entry] of payload.pointer(1).structList(hosted.length, 1, 1).entries()) {
    entry.uint16(0, capKinds.indexOf('senderHosted'));
    entry.uint32(4, hosted[index] ?? 0);
  }
}

function writeException(pointer: PointerBuilder, exception: RpcException): void {
  const struct = pointer.struct(1, 2);
  struct.uint16(4, exceptionKinds.indexOf(exception.kind));
  struct.pointer(0).text(exception.reason);
}
