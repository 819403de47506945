import { isIPv4, isIPv6 } from 'node:net';
import { type Answer, type ApiError, objectOf, refusal } from './envelope.ts';
import { addressTypes, type DnsRecord, type RecordContent, within, type Zone } from './zone-store.ts';

/**
 * What the real API checks before it stores a record, with its codes as users report them. The codes of the
 * checks on name, ttl and proxied are from Cloudflare's own documentation; which of them carries HTTP 409
 * instead of 400 is not documented: 400 here.
 */
export function recordFrom(
  zone: Zone,
  body: unknown,
  before: DnsRecord | undefined,
): { readonly ok: true; readonly content: RecordContent } | { readonly ok: false; readonly refusal: Answer } {
  const request = objectOf(body);
  if (request === null) return refuse(refusal(400, 9207, 'Request body is invalid.'));
  const type = request.type ?? before?.type;
  if (typeof type !== 'string' || !recordTypes.has(type)) return invalid(9004, 'DNS record type is invalid.');
  const name = fullName(request.name ?? before?.name, zone);
  if (name === null) return invalid(9000, 'DNS name is invalid.');
  const content = request.content ?? before?.content;
  const wrong = contentProblem(type, content, name);
  if (wrong !== null) return refuse(refusal(400, 1004, 'DNS Validation Error', [wrong]));
  const ttl = request.ttl ?? before?.ttl ?? 1;
  if (typeof ttl !== 'number' || (ttl !== 1 && (ttl < 60 || ttl > 86_400))) {
    return invalid(9021, 'Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.');
  }
  const proxied = request.proxied ?? before?.proxied ?? false;
  if (typeof proxied !== 'boolean') return invalid(9003, "Invalid 'proxied' value, must be a boolean");
  if (proxied && !addressTypes.has(type)) return invalid(9041, 'This DNS record cannot be proxied.');
  const comment = request.comment === undefined ? (before?.comment ?? null) : request.comment;
  if (comment !== null && (typeof comment !== 'string' || comment.length > maxCommentLength)) {
    return invalid(9208, `The comment may have at most ${maxCommentLength} characters.`);
  }
  const tags = Array.isArray(request.tags) ? request.tags.filter((tag) => typeof tag === 'string') : [];
  const priority = typeof request.priority === 'number' ? { priority: request.priority } : {};
  return {
    ok: true,
    content: {
      type,
      name,
      content: normalized(type, String(content)),
      proxied,
      ttl: proxied ? 1 : ttl,
      comment: comment || null,
      tags,
      ...priority,
    },
  };
}

/** Records that may not stand beside each other (codes 81053, 81054, 81056, 81058). */
export function collision(zone: Zone, content: RecordContent, self: DnsRecord | undefined): Answer | null {
  const beside = [...zone.records.values()].filter(
    (record) => record.name === content.name && record !== self,
  );
  const has = (type: string): boolean => beside.some((record) => record.type === type);
  if (beside.some((record) => record.type === content.type && record.content === content.content)) {
    return refusal(400, 81058, 'An identical record already exists.');
  }
  if (content.type === 'CNAME' && beside.some((record) => addressTypes.has(record.type))) {
    return refusal(400, 81053, 'An A, AAAA, or CNAME record with that host already exists.');
  }
  if (addressTypes.has(content.type) && has('CNAME')) {
    return refusal(400, 81054, 'A CNAME record with that host already exists.');
  }
  if (addressTypes.has(content.type) && has('NS') && content.name !== zone.name) {
    return refusal(400, 81056, 'NS records with that host already exist.');
  }
  return null;
}

/** The real API appends the zone to a name that is not within it. */
export function fullName(value: unknown, zone: Zone): string | null {
  if (typeof value !== 'string' || value.trim() === '') return null;
  const given = value.trim().toLowerCase().replace(/\.$/, '');
  const name = given === '@' ? zone.name : within(given, zone.name) ? given : `${given}.${zone.name}`;
  if (name.length > 253) return null;
  const labels = name.split('.');
  return labels.every((label, index) => (label === '*' && index === 0) || namePart.test(label)) ? name : null;
}

function contentProblem(type: string, content: unknown, name: string): ApiError | null {
  if (typeof content !== 'string' || content === '') return { code: 9020, message: 'Content is required.' };
  if (type === 'A' && !isIPv4(content)) {
    return { code: 9005, message: 'Content for A record must be a valid IPv4 address.' };
  }
  if (type === 'AAAA' && !isIPv6(content)) {
    return { code: 9006, message: 'Content for AAAA record must be a valid IPv6 address.' };
  }
  if (type === 'CNAME' && !/^[a-z0-9_*-]+(\.[a-z0-9_-]+)*\.?$/i.test(content)) {
    return { code: 9007, message: 'Content for CNAME record is invalid.' };
  }
  if (type === 'CNAME' && content.toLowerCase() === name) {
    return { code: 9039, message: 'CNAME content cannot reference itself.' };
  }
  if (type === 'TXT' && Buffer.byteLength(content) > maxTxtBytes) {
    return { code: 9009, message: `Content for TXT record must be at most ${maxTxtBytes} bytes.` };
  }
  return null;
}

function normalized(type: string, content: string): string {
  return type === 'CNAME' ? content.toLowerCase().replace(/\.$/, '') : content;
}

function refuse(answer: Answer): { readonly ok: false; readonly refusal: Answer } {
  return { ok: false, refusal: answer };
}

function invalid(code: number, message: string): { readonly ok: false; readonly refusal: Answer } {
  return refuse(refusal(400, code, message));
}

const recordTypes = new Set(['A', 'AAAA', 'CAA', 'CNAME', 'HTTPS', 'MX', 'NS', 'PTR', 'SRV', 'SVCB', 'TXT']);
const namePart = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** Of free plans. */
const maxCommentLength = 100;
/** Characters of all strings of one TXT record together, quotes included. */
const maxTxtBytes = 4_096;
