import { type FieldName, fieldName } from './header-field.ts';

/**
 * The head of an HTTP/1.1 response line by line (RFC 9112, sections 4 to 6): what it says, and how its body is
 * framed. Strict where two readers of the same bytes could come to different ends (request smuggling).
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

/** Header lines of one head, and of the trailers. */
export const maxHeaderLines = 1_000;

const statusLine = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?$/;
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

  clear(): void {
    this.chunked = false;
    this.contentLength = -1;
    this.upgrades = false;
    this.#headers = [];
    this.#closes = false;
    this.#keepsAlive = false;
    this.#keepAliveSeconds = -1;
  }

  /** Whether the origin leaves the connection open after this response, for another one and nothing else. */
  get persistent(): boolean {
    // What a 204 announces must not be there (RFC 9110, section 15.3.5); if it comes all the same, and late, the
    // next response would begin with it.
    const hasLateBody = this.status === 204 && (this.chunked || this.contentLength > 0);
    return !this.#closes && !hasLateBody && (this.#minorVersion === 1 || this.#keepsAlive);
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

  statusLine(line: string): ParseFailure | null {
    const found = statusLine.exec(line);
    if (found === null) {
      return { code: 'status-line', message: 'the response does not begin with an HTTP/1.1 status line' };
    }
    this.#minorVersion = found[1] === '1' ? 1 : 0;
    this.status = Number(found[2]);
    return null;
  }

  /** The line `text[from, to)`. */
  headerLine(text: string, from: number, to: number): ParseFailure | null {
    const added = addField(this.#headers, text, from, to);
    if ('code' in added) return added;
    return added.role === 'plain' ? null : this.#special(added);
  }

  /** After the last header line. */
  framing(): ParseFailure | null {
    if (!this.chunked || this.contentLength < 0) return null;
    return {
      code: 'transfer-encoding',
      message: 'the response has both Transfer-Encoding and Content-Length',
    };
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
  // A name that starts with a space is a folded line (RFC 9112, section 5.2): refused like every other non-token.
  const field = colon < 0 || colon >= to ? null : fieldName(text.slice(from, colon));
  if (field === null) {
    return { code: 'header', message: 'a header line of the response has no name that is a token' };
  }
  // Without spaces and tabs around it (RFC 9110, section 5.5).
  let start = colon + 1;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  const value = field.received(text, start, end);
  if (value === null) return { code: 'header', message: 'a header line holds a control character' };
  into.push(field.name, value);
  return field;
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}
