import { type FieldName, fieldName, isFieldValue } from './header-field.ts';

/**
 * The head of an HTTP/1.1 response line by line (RFC 9112, sections 4 to 6): what it says, and how its body is
 * framed. Strict where two readers of the same bytes could come to different ends (request smuggling).
 *
 * Lines may end in LF alone (section 2.2), as scripts behind old servers write them. After such a head the connection
 * carries no other response; and where some lines end so and some do not, as when an origin lets an LF into a value,
 * nothing that frames is believed: the response is refused, unless it lasts until the connection ends.
 */

export interface ResponseHead {
  readonly status: number;
  /** name, value, name, value …: latin1, in the case and order of the origin, repeated and empty ones kept. */
  readonly headers: readonly string[];
  /** What Content-Length says, or -1. */
  readonly contentLength: number;
  /** True when no body follows: HEAD, 204, 304, Content-Length 0. The end is told right after. */
  readonly bodyless: boolean;
  /** Seconds of `Keep-Alive: timeout=`, or -1: how long the origin keeps the idle connection. */
  readonly keepAliveSeconds: number;
}

export interface ParseFailure {
  readonly code: ParseFailureCode;
  /** What was seen and what was expected; quotes nothing of the response. */
  readonly message: string;
}

export type ParseFailureCode =
  | 'status-line'
  | 'header'
  | 'line-ending'
  | 'content-length'
  | 'transfer-encoding'
  | 'chunk'
  | 'limit'
  | 'upgrade'
  | 'excess'
  | 'truncated';

/** Header lines of one head, and of the trailers; as many folded lines may come on top of them. */
export const maxHeaderLines = 1_000;

/**
 * A later minor version is read as the last one that is known (RFC 9110, section 2.5). More than one space before the
 * status is taken, as browsers do.
 */
const statusLine = /^HTTP\/1\.([0-9]) +([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const decimal = /^[0-9]{1,15}$/;
const keepAliveTimeout = /(?:^|[\s,;])timeout=(\d{1,6})(?:$|[\s,;])/i;

/** One response's head while it is read. */
export class HeadReader {
  status = 0;
  chunked = false;
  contentLength = -1;
  /** There is an Upgrade. */
  upgrades = false;
  #headers: string[] = [];
  #minorVersion = 1;
  #closes = false;
  #keepsAlive = false;
  #keepAliveSeconds = -1;
  /** Length of `#headers` behind the last line that we act on: that one must not be folded. */
  #unfoldable = 0;
  #foldedLines = 0;
  /** The status line ended in LF alone. */
  #bare = false;
  /** The last line ended otherwise than the status line: of no weight where the next one is folded. */
  #lastDiffers = false;
  /** Not all lines ended alike. */
  #mixed = false;

  clear(): void {
    this.chunked = false;
    this.contentLength = -1;
    this.upgrades = false;
    this.#headers = [];
    this.#closes = false;
    this.#keepsAlive = false;
    this.#keepAliveSeconds = -1;
    this.#unfoldable = 0;
    this.#foldedLines = 0;
    this.#lastDiffers = false;
    this.#mixed = false;
  }

  /** Whether the origin leaves the connection open after this response, for another one and nothing else. */
  get persistent(): boolean {
    // What a 204 announces must not be there (RFC 9110, section 15.3.5); if it comes all the same, and late, the
    // next response would begin with it.
    const hasLateBody = this.status === 204 && (this.chunked || this.contentLength > 0);
    const strict = !this.#bare && !this.#mixed;
    return strict && !this.#closes && !hasLateBody && (this.#minorVersion === 1 || this.#keepsAlive);
  }

  head(bodyless: boolean): ResponseHead {
    return {
      status: this.status,
      headers: this.#headers,
      contentLength: this.contentLength,
      bodyless,
      keepAliveSeconds: this.#keepAliveSeconds,
    };
  }

  /** `bare`, here and below: the line ended in LF alone. */
  statusLine(line: string, bare: boolean): ParseFailure | null {
    const found = statusLine.exec(line);
    if (found === null) {
      return { code: 'status-line', message: 'the response does not begin with an HTTP/1.1 status line' };
    }
    this.#minorVersion = found[1] === '0' ? 0 : 1;
    this.status = Number(found[2]);
    this.#bare = bare;
    return null;
  }

  /** The line `text[from, to)`, never empty. */
  headerLine(text: string, from: number, to: number, bare: boolean): ParseFailure | null {
    const added = addField(this.#headers, text, from, to);
    if ('code' in added) {
      // With a blank before it, it has no name.
      return isBlank(text.charCodeAt(from)) ? this.#foldedLine(text, from, to, bare) : added;
    }
    if (this.#lastDiffers) this.#mixed = true;
    if (bare !== this.#bare) this.#lastDiffers = true;
    if (added.role === 'plain') return null;
    const failure = this.#special(added);
    this.#unfoldable = this.#headers.length;
    return failure;
  }

  /** At the empty line after the last header line. */
  framing(bare: boolean): ParseFailure | null {
    this.#mixed ||= this.#lastDiffers || bare !== this.#bare;
    // An interim response ends with its head, and so says where the next one begins.
    if (this.#mixed && (this.chunked || this.contentLength >= 0 || this.status < 200)) {
      return { code: 'line-ending', message: 'some lines of the head end in CR LF, others in LF alone' };
    }
    if (!this.chunked || this.contentLength < 0) return null;
    return {
      code: 'transfer-encoding',
      message: 'the response has both Transfer-Encoding and Content-Length',
    };
  }

  /**
   * A line that goes on with the value before it is joined to that by one space (RFC 9112, section 5.2). Not with a
   * header that we act on, and not where whoever takes it for a line of its own would read such a header there.
   */
  #foldedLine(text: string, from: number, to: number, bare: boolean): ParseFailure | null {
    this.#foldedLines += 1;
    if (this.#foldedLines > maxHeaderLines) {
      return { code: 'limit', message: `the response has more than ${maxHeaderLines} folded lines` };
    }
    const start = visibleFrom(text, from, to);
    const end = visibleTo(text, start, to);
    const colon = text.indexOf(':', start);
    const name =
      colon < 0 || colon >= end ? null : fieldName(text.slice(start, visibleTo(text, start, colon)));
    if (this.#headers.length <= this.#unfoldable || (name !== null && name.role !== 'plain')) {
      return { code: 'header', message: 'a folded line could be read in two ways' };
    }
    const more = text.slice(start, end);
    if (!isFieldValue(more)) return { code: 'header', message: 'a header line holds a control character' };
    this.#lastDiffers = bare !== this.#bare;
    const value = this.#headers.pop()!;
    this.#headers.push(value === '' || more === '' ? value + more : `${value} ${more}`);
    return null;
  }

  /** Headers that say how the message is framed and what becomes of the connection. */
  #special(field: FieldName): ParseFailure | null {
    const value = this.#headers.at(-1)!;
    switch (field.role) {
      case 'content-length': {
        const length = decimal.test(value) ? Number(value) : -1;
        if (length < 0 || (this.contentLength >= 0 && this.contentLength !== length)) {
          return { code: 'content-length', message: 'Content-Length is not one decimal number' };
        }
        // The same said twice is passed on once.
        if (this.contentLength >= 0) this.#headers.length -= 2;
        this.contentLength = length;
        return null;
      }
      case 'transfer-encoding':
        if (this.chunked || this.#minorVersion === 0 || value.toLowerCase() !== 'chunked') {
          return {
            code: 'transfer-encoding',
            message: 'Transfer-Encoding is not "chunked" alone, in HTTP/1.1',
          };
        }
        this.chunked = true;
        return null;
      case 'connection':
        for (const option of value.toLowerCase().split(',')) {
          if (option.trim() === 'close') this.#closes = true;
          else if (option.trim() === 'keep-alive') this.#keepsAlive = true;
        }
        return null;
      case 'upgrade':
        this.upgrades = true;
        return null;
      case 'keep-alive':
        this.#keepAliveSeconds = Number(keepAliveTimeout.exec(value)?.[1] ?? -1);
        return null;
      default:
        return null;
    }
  }
}

/** Takes the header or trailer line `text[from, to)`, its end not included, and says what its name is. */
export function addField(into: string[], text: string, from: number, to: number): FieldName | ParseFailure {
  if (into.length >= maxHeaderLines * 2) {
    return { code: 'limit', message: `the response has more than ${maxHeaderLines} header lines` };
  }
  const colon = text.indexOf(':', from);
  const field = colon < 0 || colon >= to ? null : nameBefore(text, from, colon);
  if (field === null) {
    return { code: 'header', message: 'a header line of the response has no name that is a token' };
  }
  // Without spaces and tabs around it (RFC 9110, section 5.5).
  const start = visibleFrom(text, colon + 1, to);
  const end = visibleTo(text, start, to);
  const value = field.received(text, start, end);
  if (value === null) return { code: 'header', message: 'a header line holds a control character' };
  into.push(field.name, value);
  return field;
}

/**
 * The name `text[from, colon)`. Blanks behind it are taken away, as a proxy has to (RFC 9112, section 5.1); not from a
 * name that we act on: whoever takes no such blanks sees no header there.
 */
function nameBefore(text: string, from: number, colon: number): FieldName | null {
  const end = visibleTo(text, from, colon);
  const field = fieldName(text.slice(from, end));
  return end === colon || field?.role === 'plain' ? field : null;
}

/** Where `text[from, to)` begins without the blanks before it; `to` when there is nothing else. */
function visibleFrom(text: string, from: number, to: number): number {
  let start = from;
  while (start < to && isBlank(text.charCodeAt(start))) start += 1;
  return start;
}

/** Where it ends without those behind it. */
function visibleTo(text: string, from: number, to: number): number {
  let end = to;
  while (end > from && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return end;
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}
