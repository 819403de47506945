import assert from 'node:assert/strict';
import { frameSegment, maxMessageBytes, Reframer } from '../../src/tunnel/wire/capnp-framing.ts';
import { traversalFactor } from '../../src/tunnel/wire/capnp-pointer.ts';
import { type PointerReader, readMessage } from '../../src/tunnel/wire/capnp-reader.ts';
import { MalformedError } from '../../src/tunnel/wire/malformed.ts';
import {
  decodeBootstrapResults,
  decodeRegisterConnection,
  decodeRegistrationResult,
  decodeUpdateLocalConfiguration,
  encodeRegisterConnection,
  encodeRegistrationResult,
} from '../../src/tunnel/wire/registration.ts';
import { decodeRpcMessage, encodeUnimplemented, type Payload } from '../../src/tunnel/wire/rpc-messages.ts';
import { goldenMessages } from '../../test/support/golden-messages.ts';
import { mutated } from '../mutate-bytes.ts';
import { inPieces } from '../pieces.ts';
import type { Random } from '../random.ts';
import type { FuzzTarget } from '../target.ts';

const golden = [...goldenMessages().values()];
/** Pointers of every kind: struct, lists of each size class, far, double far, capability, and wrong ones. */
const pointers = [
  ...['0000000000000000', 'fcffffff00000000', '0000000001000100', '00000000ffffffff', '0100000007000000'],
  ...['01000000ffffffff', '0100000000000080', '0200000000000000', '0600000001000000', '0a00000000000000'],
  ...['0300000000000000', '0700000000000000', 'fdffffff0f000000', '01000000feffffff', 'f8ffffff01000100'],
].map((hex) => Buffer.from(hex, 'hex'));

/** The stream of a registration, in either direction: Cap'n Proto frames, calls and their answers. */
export const registrationRpc: FuzzTarget = {
  name: 'registration-rpc',
  make(random) {
    const frames = Array.from({ length: 1 + random.below(3) }, () => damaged(random.pick(golden), random));
    const stream = Buffer.concat(frames);
    return random.oneIn(4) ? mutated(stream, random, pointers) : stream;
  },
  check(input) {
    const whole = framesOf([input]);
    const cut = framesOf(inPieces(input));
    assert.equal(cut.problem === null, whole.problem === null, 'cuts decide whether it is sound');
    assert.deepEqual(cut.frames.slice(0, whole.frames.length), whole.frames);
    for (const frame of cut.frames) {
      assert.ok(frame.length <= maxMessageBytes);
      walk(frame);
      rpc(frame);
    }
  },
};

/** Words of eight bytes are what the format is made of; its pointers are the interesting ones. */
function damaged(frame: Buffer, random: Random): Buffer {
  const copy = Buffer.from(frame);
  for (let left = random.below(5); left > 0; left -= 1) {
    const at = 8 * (1 + random.below(copy.length / 8 - 1));
    if (random.oneIn(3)) random.pick(pointers).copy(copy, at);
    else if (random.oneIn(2)) copy[at + random.below(8)] = random.uint32();
    else copy.copy(copy, at, 8 * (1 + random.below(copy.length / 8 - 1)), at + 8);
  }
  return copy;
}

function framesOf(pieces: readonly Buffer[]): { frames: Buffer[]; problem: string | null } {
  const reframer = new Reframer();
  const frames: Buffer[] = [];
  for (const piece of pieces) {
    const taken = reframer.push(piece);
    if (!taken.ok) return { frames, problem: taken.problem };
    frames.push(...taken.value);
  }
  return { frames, problem: null };
}

/** What a null pointer is as a struct. */
const nothing = readMessage(frameSegment(Buffer.alloc(8))).struct();

/** Reads every pointer as everything. The reader's own budget must end this, whatever refers to what. */
function walk(frame: Buffer): void {
  let structs = 0;
  const visit = (pointer: PointerReader): void => {
    attempt(() => pointer.text());
    attempt(() => pointer.capability());
    const found = [attempt(() => pointer.struct()), ...(attempt(() => pointer.structList()) ?? [])];
    for (const struct of found) {
      if (struct === null || struct === nothing) continue;
      structs += 1;
      struct.uint64(8);
      struct.bool(129);
      for (let index = 0; index < 4; index += 1) visit(struct.pointer(index));
    }
  };
  const root = attempt(() => readMessage(frame));
  if (root !== null) visit(root);
  assert.ok(structs <= (traversalFactor * frame.length) / 8, 'a small message looks endless');
}

function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof MalformedError) return null;
    throw thrown;
  }
}

function rpc(frame: Buffer): void {
  const message = decodeRpcMessage(frame);
  const echoed = decodeRpcMessage(encodeUnimplemented(frame));
  if (!message.ok) return;
  assert.ok(!echoed.ok || echoed.value.type === 'unimplemented');
  if (message.value.type === 'call') {
    const { questionId, target, params } = message.value;
    const registration = decodeRegisterConnection(params);
    decodeUpdateLocalConfiguration(params);
    if (!registration.ok) return;
    const again = encodeRegisterConnection({ questionId, target }, registration.value);
    // What does not fit into one message is refused on the way back, as it must be.
    if (again.length > maxMessageBytes) return;
    assert.deepEqual(decodeRegisterConnection(paramsOf(again)), registration);
  } else if (message.value.type === 'return' && message.value.result.kind === 'results') {
    const { payload } = message.value.result;
    decodeBootstrapResults(payload);
    const result = decodeRegistrationResult(payload);
    if (!result.ok) return;
    const again = decodeRpcMessage(encodeRegistrationResult(7, result.value));
    if (!again.ok || again.value.type !== 'return' || again.value.result.kind !== 'results') {
      throw new Error('an encoded result is none');
    }
    assert.deepEqual(decodeRegistrationResult(again.value.result.payload), result);
  }
}

function paramsOf(frame: Buffer): Payload {
  const message = decodeRpcMessage(frame);
  if (!message.ok || message.value.type !== 'call') throw new Error('an encoded call is none');
  return message.value.params;
}
