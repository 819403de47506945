import { huffmanEncode, huffmanLength } from './hpack-huffman.ts';
import { fieldOverheadBytes, staticNames } from './hpack-static.ts';

/** More than this is never asked of the peer's memory, whatever it allows. */
const largestTableBytes = 4096;
/** Longer values hardly ever come twice: they are not looked up, compared or put into the table. */
const longestIndexedValue = 256;
/**
 * Huffman code costs more time than the bytes it saves, so it is used only where size itself is the matter: some
 * peers (nghttp2) refuse a field of more than 64 KiB as encoded.
 */
const huffmanAboveBytes = 32 * 1024;
/** Names that are remembered. What we send has few; an origin's trailers could have any. */
const maxKnownNames = 128;
/** Values that no table may keep (RFC 7541, section 7.1.3). */
const neverIndexed = new Set(['set-cookie', 'cookie', 'authorization', 'proxy-authorization']);

const staticCount = 61;
const statusIndex = 8;
const statusInStaticTable = new Map([
  [200, 8],
  [204, 9],
  [206, 10],
  [304, 11],
  [400, 12],
  [404, 13],
  [500, 14],
]);

/** What the encoder knows of a header name: where its static entry is and its one dynamic entry. */
interface KnownName {
  readonly staticIndex: number;
  readonly literalPrefix: number;
  /** The value sent last: one that comes twice in a row is worth a table entry. */
  lastValue: string | undefined;
  entryValue: string | undefined;
  /** Insertion number of the dynamic entry, 0 if there is none. */
  entryNumber: number;
}

interface TableEntry {
  readonly known: KnownName;
  readonly number: number;
  readonly bytes: number;
}

/**
 * Encodes header blocks (RFC 7541) of one connection, in the order in which they are sent. Names are lower case
 * and values latin1, both without control characters: the caller has checked them.
 */
export class HpackEncoder {
  readonly #names = new Map<string, KnownName>();
  /** Oldest first. */
  readonly #entries: TableEntry[] = [];
  #insertions = 0;
  #usedBytes = 0;
  #tableBytes = largestTableBytes;
  /** A size update that the next block must begin with: the smallest size in between, then the last. */
  #smallestUpdate = -1;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setPeerTableBytes(bytes: number): void {
    const wanted = Math.min(bytes, largestTableBytes);
    if (wanted === this.#tableBytes) return;
    this.#smallestUpdate = this.#smallestUpdate < 0 ? wanted : Math.min(this.#smallestUpdate, wanted);
    this.#tableBytes = wanted;
    this.#evictDownTo(wanted);
  }

  /** An upper bound of what `encode` writes for these. */
  static maxBytes(headers: readonly string[]): number {
    let bytes = 16;
    for (let i = 0; i < headers.length; i++) bytes += headers[i]!.length + 6;
    return bytes;
  }

  /** What `encode` makes of one name or value, without its length. */
  static stringBytes(text: string): number {
    return text.length > huffmanAboveBytes ? Math.min(text.length, huffmanLength(text)) : text.length;
  }

  /** Writes a block into `target` at `at`; answers the offset behind it. `status` 0 is "none" (trailers). */
  encode(status: number, headers: readonly string[], target: Buffer, at: number): number {
    let end = this.#smallestUpdate < 0 ? at : this.#sizeUpdate(target, at);
    if (status !== 0) {
      const index = statusInStaticTable.get(status);
      if (index !== undefined) target[end++] = 0x80 | index;
      else end = writeString(String(status), target, writeInteger(0x00, 4, statusIndex, target, end));
    }
    for (let i = 0; i + 1 < headers.length; i += 2) {
      end = this.#field(headers[i]!, headers[i + 1]!, target, end);
    }
    return end;
  }

  #field(name: string, value: string, target: Buffer, at: number): number {
    const known = this.#names.get(name) ?? this.#learn(name);
    if (known.entryNumber !== 0 && known.entryValue === value) {
      return writeInteger(0x80, 7, this.#indexOf(known), target, at);
    }
    let indexed = false;
    if (value.length <= longestIndexedValue && known.literalPrefix === 0x00) {
      indexed = known.lastValue === value && entryBytes(name, value) <= this.#tableBytes;
      known.lastValue = value;
    }
    const nameIndex = known.staticIndex !== 0 ? known.staticIndex : this.#indexOf(known);
    let end = indexed
      ? writeInteger(0x40, 6, nameIndex, target, at)
      : writeInteger(known.literalPrefix, 4, nameIndex, target, at);
    if (nameIndex === 0) end = writeString(name, target, end);
    if (indexed) this.#insert(known, name, value);
    return writeString(value, target, end);
  }

  #indexOf(known: KnownName): number {
    return known.entryNumber === 0 ? 0 : staticCount + 1 + this.#insertions - known.entryNumber;
  }

  #learn(name: string): KnownName {
    if (this.#names.size >= maxKnownNames) this.#names.clear();
    const known: KnownName = {
      staticIndex: staticNames.get(name) ?? 0,
      literalPrefix: neverIndexed.has(name) ? 0x10 : 0x00,
      lastValue: undefined,
      entryValue: undefined,
      entryNumber: 0,
    };
    this.#names.set(name, known);
    return known;
  }

  #insert(known: KnownName, name: string, value: string): void {
    const bytes = entryBytes(name, value);
    this.#evictDownTo(this.#tableBytes - bytes);
    this.#insertions += 1;
    this.#usedBytes += bytes;
    known.entryNumber = this.#insertions;
    known.entryValue = value;
    this.#entries.push({ known, number: this.#insertions, bytes });
  }

  #evictDownTo(bytes: number): void {
    while (this.#usedBytes > bytes) {
      const oldest = this.#entries.shift();
      if (oldest === undefined) return;
      this.#usedBytes -= oldest.bytes;
      if (oldest.known.entryNumber === oldest.number) oldest.known.entryNumber = 0;
    }
  }

  #sizeUpdate(target: Buffer, at: number): number {
    let end = at;
    if (this.#smallestUpdate < this.#tableBytes) {
      end = writeInteger(0x20, 5, this.#smallestUpdate, target, end);
    }
    this.#smallestUpdate = -1;
    return writeInteger(0x20, 5, this.#tableBytes, target, end);
  }
}

/** Section 4.1. */
function entryBytes(name: string, value: string): number {
  return name.length + value.length + fieldOverheadBytes;
}

/** Section 5.1. `pattern` is what stands above the prefix in the first byte. */
function writeInteger(
  pattern: number,
  prefixBits: number,
  value: number,
  target: Buffer,
  at: number,
): number {
  const limit = (1 << prefixBits) - 1;
  if (value < limit) {
    target[at] = pattern | value;
    return at + 1;
  }
  target[at] = pattern | limit;
  let end = at + 1;
  let left = value - limit;
  while (left >= 0x80) {
    target[end++] = (left & 0x7f) | 0x80;
    left >>>= 7;
  }
  target[end++] = left;
  return end;
}

function writeString(text: string, target: Buffer, at: number): number {
  if (text.length > huffmanAboveBytes) {
    const bytes = huffmanLength(text);
    if (bytes < text.length) return huffmanEncode(text, target, writeInteger(0x80, 7, bytes, target, at));
  }
  const end = writeInteger(0x00, 7, text.length, target, at);
  target.write(text, end, 'latin1');
  return end + text.length;
}
