import type { HeaderField } from './hpack-static.ts';
import { bareValue, kindOf, nameKind, quote, readLength } from './http2-fields.ts';

/**
 * From a decoded header list to a response's head (RFC 9113, sections 8.2 and 8.3.2). An origin is told less strictly
 * than a request: a field that no response can carry is left out, blanks around a value are, and what concerns an
 * HTTP/1.1 connection is. Whatever could make two readers disagree about the length is malformed.
 */
export type ResponseReading = ReadResponse | MalformedResponse;

export interface ReadResponse {
  readonly kind: 'response';
  readonly status: number;
  /** name, value, …: names in lower case, one entry per field line. */
  readonly headers: readonly string[];
  /** What content-length says, or -1. */
  readonly contentLength: number;
}

/** RST_STREAM PROTOCOL_ERROR. */
export interface MalformedResponse {
  readonly kind: 'malformed';
  readonly why: string;
}

const statusPattern = /^[1-9]\d\d$/;

export function readResponse(fields: readonly HeaderField[]): ResponseReading {
  let status = 0;
  let contentLength = -1;
  const headers: string[] = [];
  for (const field of fields) {
    const { name, value } = field;
    const kind = kindOf(field);
    switch (kind) {
      case nameKind.status:
        if (status !== 0 || headers.length > 0) return malformed('a second or late :status');
        if (!statusPattern.test(value)) return malformed(':status is not three digits');
        status = Number(value);
        break;
      case nameKind.contentLength: {
        const bytes = readLength(value, contentLength);
        if (typeof bytes === 'string') return malformed(bytes);
        if (contentLength < 0) headers.push(name, value);
        contentLength = bytes;
        break;
      }
      case nameKind.connection:
        break;
      case nameKind.regular:
      case nameKind.host:
      case nameKind.te:
        pushSound(headers, field);
        break;
      default:
        if (name.startsWith(':')) return malformed(`${quote(name)} is no pseudo field of a response`);
    }
  }
  return status === 0 ? malformed('no :status') : { kind: 'response', status, headers, contentLength };
}

/** Trailers (section 8.1) as name, value, …, read as a head is; null when they are malformed. */
export function readResponseTrailers(fields: readonly HeaderField[]): readonly string[] | null {
  const trailers: string[] = [];
  for (const field of fields) {
    if (field.name.startsWith(':')) return null;
    // What frames a message or concerns a connection means nothing here (RFC 9110, section 6.5.1).
    if (kindOf(field) === nameKind.regular) pushSound(trailers, field);
  }
  return trailers;
}

function pushSound(headers: string[], field: HeaderField): void {
  const value = bareValue(field);
  if (value !== null) headers.push(field.name, value);
}

function malformed(why: string): MalformedResponse {
  return { kind: 'malformed', why };
}
