import { maxRememberedTextLength } from './header-field.ts';
import {
  addField,
  HeadReader,
  type ParseFailure,
  type ParseFailureCode,
  type ResponseHead,
} from './http1-head.ts';

/**
 * Incremental parser of HTTP/1.1 responses (RFC 9112). It keeps no byte of a body: what a chunk holds of one is
 * given on as a view of it. What it does not understand ends the connection.
 */

/** Where a response goes. Each response is one head, any number of bodies, one end. */
export interface ResponseSink {
  responseHead(head: ResponseHead): void;
  /** A view of the chunk given to `feed`, never empty. After a 101 these are the bytes of the new protocol. */
  responseBody(chunk: Buffer): void;
  /** `trailers`: name, value, … as the origin sent them. */
  responseEnd(trailers: readonly string[]): void;
}

/** Bytes of one response head or of the trailers. In base64 this still fits the edge's 1 MiB of headers. */
export const maxHeadBytes = 512 * 1024;
/** Bytes of one line of a head, without its end. */
export const maxLineBytes = 256 * 1024;
/** Bytes of a chunk's size line with its extensions. */
export const maxChunkLineBytes = 4 * 1024;
/** Informational responses (1xx) before the real one. */
export const maxInterimResponses = 32;

/** `whole`: the last byte was read and the end is about to be told. */
type State =
  | 'idle'
  | 'status-line'
  | 'header-line'
  | 'sized-body'
  | 'chunk-size'
  | 'chunk-body'
  | 'chunk-end'
  | 'trailer-line'
  | 'body-until-close'
  | 'whole'
  | 'failed';

const lineFeed = 10;
const carriageReturn = 13;
/**
 * With zeros before the size and blanks behind it, also where no extension follows: servers pad it to one width
 * (RFC 9112, section 7.1.1).
 */
const chunkLine = /^0*([0-9a-fA-F]{1,13})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
/** So much is cut into lines as one string. */
const usualHeadBytes = maxRememberedTextLength;

export class Http1Parser {
  readonly #sink: ResponseSink;
  readonly #head = new HeadReader();
  #trailers: string[] = [];
  #state: State = 'idle';
  #failure: ParseFailure | null = null;
  #method = '';
  #upgrade = false;
  #interimResponses = 0;
  /** The beginning of a line whose end has not arrived. */
  #partial = '';
  /** Bytes of the head (or of the trailers) so far. */
  #headBytes = 0;
  /** Bytes that are missing of the sized body or of the chunk. */
  #missingBytes = 0;
  #reusable = false;

  constructor(sink: ResponseSink) {
    this.#sink = sink;
  }

  /** Expects one response to a request of `method`; `upgrade`: it asked for another protocol, so 101 is fine. */
  start(method: string, upgrade: boolean): void {
    if (this.#state === 'failed') return;
    this.#method = method;
    this.#upgrade = upgrade;
    this.#interimResponses = 0;
    this.#trailers = [];
    this.#expectHead();
  }

  /** From the moment the end of a response is told: whether the connection can carry another. */
  get reusable(): boolean {
    return this.#reusable;
  }

  /** Takes the next bytes. A failure is final. Bytes after the end of a response are one (`excess`). */
  feed(chunk: Buffer): ParseFailure | null {
    let at = 0;
    while (at < chunk.length) {
      switch (this.#state) {
        case 'status-line':
        case 'header-line':
          at = this.#takeLines(chunk, at);
          break;
        case 'chunk-size':
        case 'chunk-end':
        case 'trailer-line':
          at = this.#takeLine(chunk, at);
          break;
        case 'sized-body':
        case 'chunk-body':
          at = this.#takeBody(chunk, at);
          break;
        case 'body-until-close':
          this.#sink.responseBody(at === 0 ? chunk : chunk.subarray(at));
          at = chunk.length;
          break;
        case 'idle':
          this.#fail('excess', 'bytes came that no request asked for');
          break;
        case 'failed':
          return this.#failure;
        case 'whole':
          break;
      }
      if (this.#state === 'whole') this.#end(at === chunk.length);
    }
    return this.#failure;
  }

  /** The origin has closed its side. */
  finish(): ParseFailure | null {
    if (this.#state === 'body-until-close') this.#end(false);
    else if (this.#state !== 'idle') {
      this.#fail('truncated', 'the origin closed the connection before its response was complete');
    }
    return this.#failure;
  }

  /** No callback comes any more, also not for the rest of a chunk that is being read. */
  stop(): void {
    this.#fail('truncated', 'reading was stopped');
  }

  /** The lines of a head that begins at `from`, or goes on there: of nearly every head all, cut from one string. */
  #takeLines(chunk: Buffer, from: number): number {
    if (this.#partial !== '') return this.#takeLine(chunk, from);
    const text = chunk.toString('latin1', from, Math.min(chunk.length, from + usualHeadBytes));
    let at = 0;
    while (this.#state === 'status-line' || this.#state === 'header-line') {
      const end = text.indexOf('\n', at);
      if (end < 0) break;
      this.#line(text, at, end);
      at = end + 1;
    }
    return at === 0 ? this.#takeLine(chunk, from) : from + at;
  }

  /** The line that starts at `from`, or as much of it as is there. */
  #takeLine(chunk: Buffer, from: number): number {
    const end = chunk.indexOf(lineFeed, from);
    const to = end < 0 ? chunk.length : end;
    // Two bytes over the limit (one may be the CR) show that a line is too long; more of it is not looked at.
    const cut = Math.min(to, from + this.#maxLineBytes() + 2 - this.#partial.length);
    const line = this.#partial + chunk.toString('latin1', from, cut);
    this.#partial = '';
    if (end >= 0) this.#line(line, 0, line.length);
    else if (this.#lineFits(line.length)) this.#partial = line;
    return end < 0 ? to : to + 1;
  }

  /** The line `text[from, to)`, still with its CR. */
  #line(text: string, from: number, to: number): void {
    if (!this.#lineFits(to - from)) return;
    this.#headBytes += to - from + 1;
    const bare = to === from || text.charCodeAt(to - 1) !== carriageReturn;
    const end = bare ? to : to - 1;
    switch (this.#state) {
      case 'status-line':
        this.#state = 'header-line';
        return this.#failWith(this.#head.statusLine(text.slice(from, end), bare));
      case 'header-line':
        if (end === from) return this.#headComplete(bare);
        return this.#failWith(this.#head.headerLine(text, from, end, bare));
      default:
        if (!bare) return this.#bodyLine(text, from, end);
        return this.#fail('line-ending', 'a line of a chunked body ended in LF alone, expected CR LF');
    }
  }

  /** A line around chunks and behind the last one, without its end. */
  #bodyLine(text: string, from: number, end: number): void {
    switch (this.#state) {
      case 'chunk-size':
        return this.#chunkSize(text.slice(from, end));
      case 'chunk-end':
        if (end === from) return this.#expectChunk();
        return this.#fail('chunk', 'a chunk is longer than its size says');
      case 'trailer-line': {
        if (end === from) {
          this.#state = 'whole';
          return;
        }
        const added = addField(this.#trailers, text, from, end);
        if ('code' in added) this.#failWith(added);
        return;
      }
      default:
        return;
    }
  }

  #headComplete(bare: boolean): void {
    const head = this.#head;
    const failure = head.framing(bare);
    if (failure !== null) return this.#failWith(failure);
    const status = head.status;
    if (status < 200 && status !== 101) {
      this.#interimResponses += 1;
      if (this.#interimResponses <= maxInterimResponses) return this.#expectHead();
      return this.#fail('limit', `more than ${maxInterimResponses} informational responses`);
    }
    if (status === 101 && !this.#upgrade)
      return this.#fail('upgrade', 'the origin switched protocols unasked');
    // A 101 says to what (RFC 9110, section 15.2.2); the edge would take it for an ordinary answer.
    if (status === 101 && !head.upgrades)
      return this.#fail('upgrade', 'the origin switched to a protocol without a name');
    const bodyless =
      this.#method === 'HEAD' ||
      status === 204 ||
      status === 304 ||
      (!head.chunked && head.contentLength === 0);
    if (status === 101) this.#state = 'body-until-close';
    else if (bodyless) this.#state = 'whole';
    else if (head.chunked) this.#expectChunk();
    else this.#expectBody(head.contentLength);
    this.#sink.responseHead(head.head(bodyless && status !== 101));
  }

  #expectHead(): void {
    this.#head.clear();
    this.#headBytes = 0;
    this.#state = 'status-line';
  }

  #expectBody(contentLength: number): void {
    this.#missingBytes = contentLength;
    this.#state = contentLength < 0 ? 'body-until-close' : 'sized-body';
  }

  #expectChunk(): void {
    this.#headBytes = 0;
    this.#state = 'chunk-size';
  }

  #chunkSize(line: string): void {
    const found = chunkLine.exec(line);
    if (found === null) return this.#fail('chunk', 'a chunk does not begin with its size in hexadecimal');
    this.#missingBytes = Number.parseInt(found[1]!, 16);
    this.#state = this.#missingBytes === 0 ? 'trailer-line' : 'chunk-body';
  }

  #takeBody(chunk: Buffer, from: number): number {
    const to = Math.min(chunk.length, from + this.#missingBytes);
    this.#missingBytes -= to - from;
    if (this.#missingBytes === 0) this.#state = this.#state === 'sized-body' ? 'whole' : 'chunk-end';
    this.#sink.responseBody(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
    return to;
  }

  /** `clean`: the body ended by itself and nothing follows it. Said first: at the end the connection moves on. */
  #end(clean: boolean): void {
    this.#reusable = clean && this.#head.persistent;
    this.#state = 'idle';
    this.#sink.responseEnd(this.#trailers);
  }

  #maxLineBytes(): number {
    return this.#state === 'chunk-size' ? maxChunkLineBytes : maxLineBytes;
  }

  /** Whether a line of that length, its CR included, is within the limits. */
  #lineFits(length: number): boolean {
    if (length > this.#maxLineBytes() + 1)
      this.#fail('limit', `a line is longer than ${this.#maxLineBytes()} bytes`);
    else if (this.#headBytes + length > maxHeadBytes)
      this.#fail('limit', `the head is longer than ${maxHeadBytes} bytes`);
    else return true;
    return false;
  }

  #failWith(failure: ParseFailure | null): void {
    if (failure !== null) this.#fail(failure.code, failure.message);
  }

  #fail(code: ParseFailureCode, message: string): void {
    if (this.#failure !== null) return;
    this.#state = 'failed';
    this.#partial = '';
    this.#failure = { code, message };
  }
}
