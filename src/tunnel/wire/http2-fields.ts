import type { HeaderField } from './hpack-static.ts';

/** Field lines as HTTP/2 has them (RFC 9113, section 8.2): what a name means, and which values are sound. */
export const nameKind = {
  unseen: 0,
  regular: 1,
  method: 2,
  path: 3,
  scheme: 4,
  authority: 5,
  host: 6,
  contentLength: 7,
  te: 8,
  connection: 9,
  malformed: 10,
  status: 11,
  /** Of the edge's own: what it opened the stream for (protocol page, section 5.1). */
  purpose: 12,
} as const;

const valueKind = { unseen: 0, sound: 1, malformed: 2 } as const;

const special: ReadonlyMap<string, number> = new Map([
  [':method', nameKind.method],
  [':path', nameKind.path],
  [':scheme', nameKind.scheme],
  [':authority', nameKind.authority],
  [':status', nameKind.status],
  ['host', nameKind.host],
  ['content-length', nameKind.contentLength],
  ['te', nameKind.te],
  ['connection', nameKind.connection],
  ['keep-alive', nameKind.connection],
  ['proxy-connection', nameKind.connection],
  ['transfer-encoding', nameKind.connection],
  ['upgrade', nameKind.connection],
  ['cf-cloudflared-proxy-connection-upgrade', nameKind.purpose],
  ['cf-cloudflared-proxy-src', nameKind.purpose],
]);

const namePattern = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** Control characters, but not TAB (RFC 9113, section 8.2.1, and RFC 9110, section 5.5). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const controlPattern = /[\x00-\x08\x0a-\x1f\x7f]/;
/** What is not a byte of a field value; above U+00FF it would become one, a line break perhaps, in latin1. */
const unsendablePattern = /[^\t\x20-\x7e\x80-\xff]/;
const lengthPattern = /^\d{1,15}$/;

/** Trailers (section 8.1) as name, value, …; null when they are malformed. */
export function readTrailers(fields: readonly HeaderField[] | null): readonly string[] | null {
  if (fields === null) return null;
  const trailers: string[] = [];
  for (const field of fields) {
    const kind = kindOf(field);
    const value = bareValue(field);
    if (value === null || isPseudo(kind) || kind === nameKind.malformed) return null;
    // What frames a message or concerns a connection means nothing here (RFC 9110, section 6.5.1).
    if (kind === nameKind.regular) trailers.push(field.name, value);
  }
  return trailers;
}

/** What a content-length says where another field line said `known` (-1: none did); or why that is malformed. */
export function readLength(value: string, known: number): number | string {
  if (!lengthPattern.test(value)) return 'content-length is not a number';
  const bytes = Number(value);
  return known < 0 || known === bytes ? bytes : 'two different content-length fields';
}

/** True for a name and value that may be sent in HTTP/2. */
export function isSendable(name: string, value: string): boolean {
  return namePattern.test(name) && !unsendablePattern.test(value);
}

/** What a name is; noted on the field, so that a field of a table is looked at once. */
export function kindOf(field: HeaderField): number {
  if (field.nameKind === nameKind.unseen) {
    field.nameKind =
      special.get(field.name) ?? (namePattern.test(field.name) ? nameKind.regular : nameKind.malformed);
  }
  return field.nameKind;
}

export function hasSoundValue(field: HeaderField): boolean {
  if (field.valueKind === valueKind.unseen) {
    field.valueKind = isSoundValue(field.value) ? valueKind.sound : valueKind.malformed;
  }
  return field.valueKind === valueKind.sound;
}

/**
 * The value without blanks around it, which are no part of it (RFC 9110, section 5.5); null when it is malformed all the
 * same. HTTP/2 forbids them (section 8.2.1), and Go's implementation, with which cloudflared and many origins speak it,
 * sends and takes them.
 */
export function bareValue(field: HeaderField): string | null {
  if (hasSoundValue(field)) return field.value;
  const { value } = field;
  let from = 0;
  let to = value.length;
  while (from < to && isBlank(value.charCodeAt(from))) from += 1;
  while (to > from && isBlank(value.charCodeAt(to - 1))) to -= 1;
  const bare = value.slice(from, to);
  return isSoundValue(bare) ? bare : null;
}

function isSoundValue(value: string): boolean {
  return (
    !controlPattern.test(value) &&
    !isBlank(value.charCodeAt(0)) &&
    !isBlank(value.charCodeAt(value.length - 1))
  );
}

/** A pseudo field (RFC 9113, section 8.3), of requests or responses. */
function isPseudo(kind: number): boolean {
  return (kind >= nameKind.method && kind <= nameKind.authority) || kind === nameKind.status;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** A name from the peer, made safe for a log line. */
export function quote(name: string): string {
  return JSON.stringify(name.slice(0, 64));
}
