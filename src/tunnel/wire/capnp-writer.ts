import { frameSegment, wordBytes } from './capnp-framing.ts';

/** Builds a Cap'n Proto message of one segment. Sizes and values come from our own code, so misuse is a bug. */
export class MessageBuilder {
  #bytes: Buffer = Buffer.alloc(512);
  #usedBytes = wordBytes;

  root(): PointerBuilder {
    return new PointerBuilder(this, 0);
  }

  /** The finished message with its frame header. */
  frame(): Buffer {
    return frameSegment(this.#bytes.subarray(0, this.#usedBytes));
  }

  /** Where the next object will begin, in words. */
  get nextWord(): number {
    return this.#usedBytes / wordBytes;
  }

  /** Reserves zeroed words; answers the first one's index. */
  allocate(words: number): number {
    const word = this.nextWord;
    this.#usedBytes += words * wordBytes;
    if (this.#usedBytes > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(this.#usedBytes, this.#bytes.length * 2));
      this.#bytes.copy(grown);
      this.#bytes = grown;
    }
    return word;
  }

  /** The bytes as they are now; not to be kept over an allocation. */
  get bytes(): Buffer {
    return this.#bytes;
  }
}

/** One pointer word that is still null. */
export class PointerBuilder {
  readonly #message: MessageBuilder;
  readonly #word: number;

  constructor(message: MessageBuilder, word: number) {
    this.#message = message;
    this.#word = word;
  }

  struct(dataWords: number, pointers: number): StructBuilder {
    const empty = dataWords + pointers === 0;
    const start = empty ? this.#word : this.#message.allocate(dataWords + pointers);
    this.#point(0, start, dataWords | (pointers << 16));
    return new StructBuilder(this.#message, start, dataWords);
  }

  text(value: string): void {
    this.data(Buffer.from(`${value}\0`, 'utf8'));
  }

  data(value: Uint8Array): void {
    const start = this.#message.allocate(Math.ceil(value.byteLength / wordBytes));
    this.#point(1, start, 2 | (value.byteLength << 3));
    this.#message.bytes.set(value, start * wordBytes);
  }

  textList(values: readonly string[]): void {
    const start = this.#message.allocate(values.length);
    this.#point(1, start, 6 | (values.length << 3));
    for (const [index, value] of values.entries())
      new PointerBuilder(this.#message, start + index).text(value);
  }

  structList(count: number, dataWords: number, pointers: number): StructBuilder[] {
    const step = dataWords + pointers;
    const tag = this.#message.allocate(1 + count * step);
    this.#point(1, tag, 7 | ((count * step) << 3));
    this.#message.bytes.writeUInt32LE(count << 2, tag * wordBytes);
    this.#message.bytes.writeUInt32LE(dataWords | (pointers << 16), tag * wordBytes + 4);
    return Array.from(
      { length: count },
      (_, index) => new StructBuilder(this.#message, tag + 1 + index * step, dataWords),
    );
  }

  /** `index` into the payload's cap table. */
  capability(index: number): void {
    this.#write(3, index);
  }

  /** Copies words here whose first is a pointer; offsets inside stay right because nothing moves within. */
  graft(segment: Uint8Array): void {
    if (this.#message.nextWord !== this.#word + 1) throw new Error('a graft must follow its pointer');
    this.#message.allocate(segment.byteLength / wordBytes - 1);
    this.#message.bytes.set(segment, this.#word * wordBytes);
  }

  #point(kind: 0 | 1, start: number, high: number): void {
    this.#write(((start - this.#word - 1) << 2) | kind, high);
  }

  #write(low: number, high: number): void {
    this.#message.bytes.writeInt32LE(low | 0, this.#word * wordBytes);
    this.#message.bytes.writeInt32LE(high | 0, this.#word * wordBytes + 4);
  }
}

/** One struct; offsets as in the schema's layout. */
export class StructBuilder {
  readonly #message: MessageBuilder;
  readonly #word: number;
  readonly #dataWords: number;

  constructor(message: MessageBuilder, word: number, dataWords: number) {
    this.#message = message;
    this.#word = word;
    this.#dataWords = dataWords;
  }

  bool(bit: number, value: boolean): void {
    const at = this.#word * wordBytes + (bit >> 3);
    const mask = 1 << (bit & 7);
    const byte = this.#message.bytes.readUInt8(at);
    this.#message.bytes.writeUInt8(value ? byte | mask : byte & ~mask, at);
  }

  uint8(at: number, value: number): void {
    this.#message.bytes.writeUInt8(value, this.#word * wordBytes + at);
  }

  uint16(at: number, value: number): void {
    this.#message.bytes.writeUInt16LE(value, this.#word * wordBytes + at);
  }

  uint32(at: number, value: number): void {
    this.#message.bytes.writeUInt32LE(value, this.#word * wordBytes + at);
  }

  uint64(at: number, value: bigint): void {
    this.#message.bytes.writeBigUInt64LE(value, this.#word * wordBytes + at);
  }

  int64(at: number, value: bigint): void {
    this.#message.bytes.writeBigInt64LE(value, this.#word * wordBytes + at);
  }

  pointer(index: number): PointerBuilder {
    return new PointerBuilder(this.#message, this.#word + this.#dataWords + index);
  }
}
