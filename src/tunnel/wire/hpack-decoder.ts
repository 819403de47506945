import { huffmanDecode, maxDecodedBytes } from './hpack-huffman.ts';
import { fieldOverheadBytes, HeaderField, staticNames, staticTable } from './hpack-static.ts';
import { Http2ConnectionError, http2Error } from './http2-errors.ts';

export interface HeaderListLimits {
  /** Uncompressed size of one list (RFC 9113, section 6.5.2). */
  readonly maxListBytes: number;
  readonly maxFields: number;
}

const staticCount = 61;
/** Lengths and indexes beyond this are an attack or a fault: nothing that we accept is as long. */
const largestInteger = 2 ** 24;

/**
 * Decodes header blocks (RFC 7541) of one connection, in the order in which they came. Everything it throws is
 * a COMPRESSION_ERROR: the state of both sides differs then, and the connection is lost.
 */
export class HpackDecoder {
  readonly #limits: HeaderListLimits;
  /** What SETTINGS_HEADER_TABLE_SIZE allows; the peer's size updates stay at or below it. */
  readonly #allowedBytes: number;
  #maxBytes: number;
  #usedBytes = 0;
  /** A ring, newest first from `#newest` upwards. An entry takes 32 bytes at least, which bounds the ring. */
  readonly #ring: (HeaderField | undefined)[];
  readonly #mask: number;
  #newest = 0;
  #count = 0;

  #listBytes = 0;

  #source: Buffer = emptySource;
  #at = 0;
  #end = 0;

  constructor(tableBytes: number, limits: HeaderListLimits) {
    this.#limits = limits;
    this.#allowedBytes = tableBytes;
    this.#maxBytes = tableBytes;
    let capacity = 1;
    while (capacity < Math.ceil(tableBytes / fieldOverheadBytes)) capacity *= 2;
    this.#ring = new Array(capacity).fill(undefined);
    this.#mask = capacity - 1;
  }

  /**
   * The fields of the block `source[start, end)`, or null when the list is larger than the limits allow: the
   * block was decoded to its end all the same, so the connection goes on.
   */
  decode(source: Buffer, start: number, end: number): HeaderField[] | null {
    this.#source = source;
    this.#at = start;
    this.#end = end;
    const fields: HeaderField[] = [];
    let room = this.#limits.maxListBytes;
    let sizeUpdates = 0;
    while (this.#at < end) {
      const first = source[this.#at]!;
      if (first >= 0x20 && first < 0x40) {
        // Only before the first field, and two at most (sections 4.2 and 6.3).
        if (fields.length > 0 || room < 0 || ++sizeUpdates > 2)
          throw bad('a late or third table size update');
        this.#resize(this.#integer(5));
        continue;
      }
      const wanted = room >= 0;
      const field = first >= 0x80 ? this.#lookup(this.#integer(7)) : this.#literal(first >= 0x40, wanted);
      if (!wanted) continue;
      room -= field.size;
      if (room >= 0 && fields.length < this.#limits.maxFields) {
        fields.push(field);
      } else {
        room = -1;
        fields.length = 0;
      }
    }
    this.#source = emptySource;
    this.#listBytes = this.#limits.maxListBytes - room;
    return room >= 0 ? fields : null;
  }

  /** Uncompressed size of the list that was decoded last. */
  get listBytes(): number {
    return this.#listBytes;
  }

  #literal(indexed: boolean, wanted: boolean): HeaderField {
    const nameIndex = this.#integer(indexed ? 6 : 4);
    if (!indexed && !wanted) {
      if (nameIndex === 0) this.#skipString();
      else this.#lookup(nameIndex);
      this.#skipString();
      return ignoredField;
    }
    let field: HeaderField;
    if (nameIndex === 0) {
      const name = this.#string();
      const known = staticNames.get(name);
      const kind = known === undefined ? 0 : staticTable[known]!.nameKind;
      field = new HeaderField(name, this.#string(), kind);
    } else {
      const named = this.#lookup(nameIndex);
      field = new HeaderField(named.name, this.#string(), named.nameKind);
    }
    if (indexed) this.#insert(field);
    return field;
  }

  #lookup(index: number): HeaderField {
    if (index > staticCount) {
      const position = index - staticCount - 1;
      if (position >= this.#count) throw bad(`index ${index} is in neither table`);
      return this.#ring[(this.#newest + position) & this.#mask]!;
    }
    if (index === 0) throw bad('index 0');
    return staticTable[index]!;
  }

  #insert(field: HeaderField): void {
    const size = field.size;
    this.#evictDownTo(this.#maxBytes - size);
    // Larger than the whole table: empties it and is not kept (section 4.4).
    if (size > this.#maxBytes) return;
    this.#newest = (this.#newest - 1) & this.#mask;
    this.#ring[this.#newest] = field;
    this.#count += 1;
    this.#usedBytes += size;
  }

  #evictDownTo(bytes: number): void {
    while (this.#count > 0 && this.#usedBytes > bytes) {
      this.#count -= 1;
      const oldest = (this.#newest + this.#count) & this.#mask;
      this.#usedBytes -= this.#ring[oldest]!.size;
      this.#ring[oldest] = undefined;
    }
  }

  #resize(bytes: number): void {
    if (bytes > this.#allowedBytes) {
      throw bad(`table size ${bytes}, expected at most ${this.#allowedBytes}`);
    }
    this.#maxBytes = bytes;
    this.#evictDownTo(bytes);
  }

  /** Section 5.1. The byte at `#at` has the prefix in its low bits. */
  #integer(prefixBits: number): number {
    const limit = (1 << prefixBits) - 1;
    let value = this.#source[this.#at++]! & limit;
    if (value < limit) return value;
    for (let shift = 0; ; shift += 7) {
      if (this.#at >= this.#end) throw bad('an integer is cut off');
      const byte = this.#source[this.#at++]!;
      if (shift > 21) throw bad('an integer is too long');
      value += (byte & 0x7f) << shift;
      if (value > largestInteger) throw bad('an integer is too large');
      if (byte < 0x80) return value;
    }
  }

  /** Reads a string's length; answers whether it is in Huffman code and leaves the string at `#at`. */
  #stringLength(): number {
    if (this.#at >= this.#end) throw bad('a string is missing');
    const length = this.#integer(7);
    if (length > this.#end - this.#at) throw bad('a string is longer than its block');
    return length;
  }

  #skipString(): void {
    const length = this.#stringLength();
    this.#at += length;
  }

  #string(): string {
    const huffman = this.#at < this.#end && this.#source[this.#at]! >= 0x80;
    const length = this.#stringLength();
    const start = this.#at;
    this.#at += length;
    if (!huffman) return this.#source.toString('latin1', start, this.#at);
    const room = maxDecodedBytes(length);
    const target = room <= scratch.length ? scratch : Buffer.allocUnsafe(room);
    return target.toString('latin1', 0, huffmanDecode(this.#source, start, this.#at, target));
  }
}

/** Where short strings are decoded; never used across calls, so one for all connections of a thread. */
const scratch = Buffer.alloc(2048);
const emptySource = Buffer.alloc(0);
const ignoredField = new HeaderField('', '', 0);

function bad(what: string): Http2ConnectionError {
  return new Http2ConnectionError(http2Error.compressionError, `HPACK: ${what}`);
}
