import { segmentsOf, wordBytes } from './capnp-framing.ts';
import { checkBounds, Message, type Place, type Target } from './capnp-pointer.ts';
import { MalformedError } from './malformed.ts';

/**
 * Reads a Cap'n Proto message in place (encoding spec: struct, list, far and capability pointers). Everything
 * a peer controls is checked before use; each breach throws `MalformedError`. Fields beyond the end of a
 * shorter struct, and null pointers, read as the default (zero, empty), as schema evolution demands.
 */

/** Deepest nesting of pointers that is followed; cloudflared's decoder has the same limit. */
const maxDepth = 64;

/** Opens a complete frame; answers its root pointer. */
export function readMessage(frame: Buffer): PointerReader {
  const segments = segmentsOf(frame);
  const [first] = segments;
  if (first === undefined || first.length === 0) throw new MalformedError('a message has no root pointer');
  return new PointerReader(new Message(segments), first, 0, 0);
}

/** One pointer word. What it points to is checked when it is asked for. */
export class PointerReader {
  readonly #message: Message;
  readonly #segment: Buffer;
  /** Index of the pointer word in its segment. */
  readonly #word: number;
  readonly #depth: number;

  constructor(message: Message, segment: Buffer, word: number, depth: number) {
    this.#message = message;
    this.#segment = segment;
    this.#word = word;
    this.#depth = depth;
  }

  /** The struct, or an empty one for null. */
  struct(): StructReader {
    const target = this.#follow();
    if (target.kind === 'null') return emptyStruct;
    if (target.kind !== 'struct')
      throw new MalformedError(`a pointer is a ${target.kind}, expected a struct`);
    const dataWords = target.high & 0xffff;
    const pointers = target.high >>> 16;
    this.#message.charge(dataWords + pointers);
    checkBounds(target.segment, target.start, dataWords + pointers);
    return new StructReader(
      this.#message,
      target.segment,
      target.start * wordBytes,
      dataWords * wordBytes,
      target.start + dataWords,
      pointers,
      this.#depth + 1,
    );
  }

  /** Index into the payload's cap table, or null for a null pointer. */
  capability(): number | null {
    const target = this.#follow();
    if (target.kind === 'null') return null;
    if (target.kind !== 'capability') {
      throw new MalformedError(`a pointer is a ${target.kind}, expected a capability`);
    }
    return target.index;
  }

  /** The bytes of a Data field, as a view; empty for null. */
  data(): Buffer {
    const target = this.#follow();
    if (target.kind === 'null') return emptyBytes;
    const list = expectList(target);
    const size = list.high & 7;
    const count = list.high >>> 3;
    if (size !== 2) throw new MalformedError(`a list has elements of size class ${size}, expected bytes`);
    const words = Math.ceil(count / wordBytes);
    this.#message.charge(words);
    checkBounds(list.segment, list.start, words);
    return list.segment.subarray(list.start * wordBytes, list.start * wordBytes + count);
  }

  /** A Text field without its NUL. Bytes that are not UTF-8 become U+FFFD: texts here are for people. */
  text(): string {
    const bytes = this.data();
    if (bytes.length === 0) return '';
    if (bytes[bytes.length - 1] !== 0) throw new MalformedError('a text does not end with NUL');
    return bytes.toString('utf8', 0, bytes.length - 1);
  }

  textList(): string[] {
    return this.#elements().map((element) => element.pointer(0).text());
  }

  structList(): StructReader[] {
    return this.#elements();
  }

  /** Elements as structs; lists of primitives and of pointers read as structs of one field (schema upgrade). */
  #elements(): StructReader[] {
    const target = this.#follow();
    if (target.kind === 'null') return [];
    const list = expectList(target);
    const size = list.high & 7;
    const count = list.high >>> 3;
    if (size === 7) return this.#composite(list, count);
    if (size === 1) throw new MalformedError('a list has elements of one bit, expected structs');
    const dataBytes = elementBytes[size] ?? 0;
    const pointers = size === 6 ? 1 : 0;
    const step = dataBytes + pointers * wordBytes;
    const words = Math.ceil((count * step) / wordBytes);
    this.#message.charge(Math.max(count, words));
    checkBounds(list.segment, list.start, words);
    const first = list.start * wordBytes;
    return Array.from({ length: count }, (_, index) =>
      this.#element(list.segment, first + index * step, dataBytes, pointers),
    );
  }

  #composite(list: Place<'list'>, words: number): StructReader[] {
    checkBounds(list.segment, list.start, 1 + words);
    const tag = list.segment.readUInt32LE(list.start * wordBytes);
    const sizes = list.segment.readUInt32LE(list.start * wordBytes + 4);
    if ((tag & 3) !== 0) throw new MalformedError('the tag of a composite list is not a struct');
    const count = tag >>> 2;
    const dataBytes = (sizes & 0xffff) * wordBytes;
    const pointers = sizes >>> 16;
    const step = dataBytes + pointers * wordBytes;
    if (count * step > words * wordBytes) {
      throw new MalformedError(`${count} elements do not fit into ${words} words`);
    }
    this.#message.charge(Math.max(count, words));
    const first = (list.start + 1) * wordBytes;
    return Array.from({ length: count }, (_, index) =>
      this.#element(list.segment, first + index * step, dataBytes, pointers),
    );
  }

  #element(segment: Buffer, at: number, dataBytes: number, pointers: number): StructReader {
    const pointerWord = (at + dataBytes) / wordBytes;
    return new StructReader(this.#message, segment, at, dataBytes, pointerWord, pointers, this.#depth + 1);
  }

  #follow(): Target {
    if (this.#depth >= maxDepth) throw new MalformedError(`a message is nested deeper than ${maxDepth}`);
    return this.#message.follow(this.#segment, this.#word);
  }
}

function expectList(target: Target): Place<'list'> {
  if (target.kind !== 'list') throw new MalformedError(`a pointer is a ${target.kind}, expected a list`);
  return target;
}

/** One struct: data section by byte offset, pointer section by index, as the schema's layout says. */
export class StructReader {
  readonly #message: Message;
  readonly #segment: Buffer;
  readonly #data: number;
  readonly #dataBytes: number;
  readonly #pointers: number;
  readonly #pointerCount: number;
  readonly #depth: number;

  constructor(
    message: Message,
    segment: Buffer,
    data: number,
    dataBytes: number,
    pointers: number,
    pointerCount: number,
    depth: number,
  ) {
    this.#message = message;
    this.#segment = segment;
    this.#data = data;
    this.#dataBytes = dataBytes;
    this.#pointers = pointers;
    this.#pointerCount = pointerCount;
    this.#depth = depth;
  }

  bool(bit: number): boolean {
    return ((this.uint8(bit >> 3) >> (bit & 7)) & 1) === 1;
  }

  uint8(at: number): number {
    return at + 1 > this.#dataBytes ? 0 : this.#segment.readUInt8(this.#data + at);
  }

  uint16(at: number): number {
    return at + 2 > this.#dataBytes ? 0 : this.#segment.readUInt16LE(this.#data + at);
  }

  uint32(at: number): number {
    return at + 4 > this.#dataBytes ? 0 : this.#segment.readUInt32LE(this.#data + at);
  }

  uint64(at: number): bigint {
    return at + 8 > this.#dataBytes ? 0n : this.#segment.readBigUInt64LE(this.#data + at);
  }

  int64(at: number): bigint {
    return at + 8 > this.#dataBytes ? 0n : this.#segment.readBigInt64LE(this.#data + at);
  }

  pointer(index: number): PointerReader {
    if (index >= this.#pointerCount) return nullPointer;
    return new PointerReader(this.#message, this.#segment, this.#pointers + index, this.#depth);
  }
}

/** Bytes per element by size class: void, bit, 1, 2, 4, 8. */
const elementBytes = [0, 0, 1, 2, 4, 8];
const emptyBytes = Buffer.alloc(0);
const nullSegment = Buffer.alloc(wordBytes);
const nullMessage = new Message([nullSegment]);
/** Always null; reading it visits nothing. */
const nullPointer: PointerReader = new PointerReader(nullMessage, nullSegment, 0, 0);
const emptyStruct: StructReader = new StructReader(nullMessage, emptyBytes, 0, 0, 0, 0, 0);
