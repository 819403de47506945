import { APIConnectionError, APIError } from 'cloudflare/core/error';
import { type Fault, type FaultCode, fault } from '../fault.ts';

/** A call that did not succeed: the fault for whoever asked, and what this folder needs to decide further. */
export interface ApiFailure {
  readonly ok: false;
  readonly fault: Fault;
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** Cloudflare's own error codes. */
  readonly codes: readonly number[];
}

export type ApiResult<T> = { readonly ok: true; readonly value: T } | ApiFailure;

/** A failure without an answer of Cloudflare's. */
export function failureOf(fault: Fault): ApiFailure {
  return { ok: false, fault, status: 0, codes: [] };
}

/**
 * What a thrown error of the SDK means. Anything that is no failure of a call is a bug and is thrown on.
 * `secret` is cut out of every text: nothing proves that an answer never repeats it.
 */
export function describeFailure(thrown: unknown, op: string, secret: string): ApiFailure {
  // The SDK reads `result` of whatever came, so an empty answer is a TypeError too, one without a cause.
  const unread = thrown instanceof TypeError && thrown.cause === undefined;
  if (thrown instanceof SyntaxError || unread) {
    return failureOf(fault('cloudflare-refused', `Cloudflare's answer to ${op} is not of the expected form`));
  }
  // A connection that breaks within the body surfaces as a TypeError of fetch, with the reason as its cause.
  if (thrown instanceof APIConnectionError || thrown instanceof TypeError) {
    const text = clean(networkReason(thrown), secret);
    return failureOf(fault('cloudflare-unreachable', `no answer from Cloudflare's API to ${op}: ${text}`));
  }
  if (!(thrown instanceof APIError) || thrown.status === undefined) throw thrown;
  const { status } = thrown;
  const errors = (Array.isArray(thrown.errors) ? thrown.errors : []) as readonly ErrorBody[];
  const codes = errors.map((error) => Number(error?.code)).filter(Number.isInteger);
  const text = clean(errors.map(textOf).filter(Boolean).join('; ') || 'no reason given', secret);
  const code = faultCodeOf(op, status, codes, text);
  const wishedMs = retryAfterOf(thrown.headers?.get('retry-after'));
  const retryAfterMs = wishedMs ?? (status === 429 ? defaultRetryAfterMs : undefined);
  const seen = `HTTP ${status}${codes.length > 0 ? `, code ${codes.join(', ')}` : ''}: ${text}`;
  return { ok: false, fault: fault(code, `${prefixes[code](op)} (${seen})`, retryAfterMs), status, codes };
}

function faultCodeOf(op: string, status: number, codes: readonly number[], text: string): CloudflareFault {
  if (status === 429) return 'cloudflare-rate-limited';
  if (status >= 500 || status === 408) return 'cloudflare-unreachable';
  if (codes.includes(recordQuotaCode)) return 'quota-exceeded';
  const auth = codes.some((code) => authCodes.has(code));
  // Cloudflare does not document the code of "no more tunnels", so its sentence has to do.
  if (op === 'tunnels.create' && !auth && /\b(limit|quota|maximum|exceed)/i.test(text))
    return 'quota-exceeded';
  if (auth || status === 401 || status === 403) return 'credentials-invalid';
  return 'cloudflare-refused';
}

type CloudflareFault = Extract<
  FaultCode,
  | 'cloudflare-rate-limited'
  | 'cloudflare-unreachable'
  | 'cloudflare-refused'
  | 'credentials-invalid'
  | 'quota-exceeded'
>;

const prefixes: Record<CloudflareFault, (op: string) => string> = {
  'cloudflare-rate-limited': (op) => `Cloudflare's rate limit was met by ${op}`,
  'cloudflare-unreachable': (op) => `Cloudflare's API failed at ${op}`,
  'cloudflare-refused': (op) => `Cloudflare refused ${op}`,
  'credentials-invalid': (op) =>
    `Cloudflare does not accept the credentials for ${op}: the token needs Account / Cloudflare Tunnel / Edit for the account that is given with it, Zone / DNS / Edit and Zone / Zone / Read`,
  'quota-exceeded': (op) =>
    `the account's quota is used up at ${op}: remove what is not needed or ask for more`,
};

/** Seconds or a date (RFC 9110, section 10.2.3), in milliseconds and at most `maxRetryAfterMs`. */
export function retryAfterOf(header: string | null | undefined, nowMs = Date.now()): number | undefined {
  if (header === null || header === undefined || header.trim() === '') return undefined;
  const seconds = Number(header);
  const waitMs = Number.isNaN(seconds) ? Date.parse(header) - nowMs : seconds * 1000;
  if (Number.isNaN(waitMs)) return undefined;
  return Math.min(Math.max(0, waitMs), maxRetryAfterMs);
}

interface ErrorBody {
  readonly code?: unknown;
  readonly message?: unknown;
  readonly error_chain?: unknown;
}

function textOf(error: ErrorBody | null): string {
  const chain: unknown = error?.error_chain;
  const first = Array.isArray(chain) ? (chain[0] as ErrorBody | undefined) : undefined;
  return [error?.message, first?.message].filter((text) => typeof text === 'string').join(': ');
}

/** undici keeps the system's reason in `cause`, one or two levels deep. */
function networkReason(error: Error): string {
  let reason = error.message;
  let at: unknown = error.cause;
  for (let depth = 0; depth < 3 && at instanceof Error; depth++) {
    reason = (at as NodeJS.ErrnoException).code ?? (at.message || reason);
    at = at.cause;
  }
  return reason;
}

function clean(text: string, secret: string): string {
  const safe = secret === '' ? text : text.replaceAll(secret, '[redacted]');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is cut out
  return safe.replace(/[\x00-\x1f\x7f]+/g, ' ').slice(0, maxTextLength);
}

/** Authentication error, invalid token, missing or malformed headers (as users report them). */
const authCodes = new Set([6003, 6111, 9103, 9106, 9107, 9109, 10000, 10001]);
const recordQuotaCode = 81045;
/** Cloudflare blocks for five minutes; a wish beyond three times that is not believed. */
const maxRetryAfterMs = 15 * 60_000;
/** For a 429 without the header. */
const defaultRetryAfterMs = 60_000;
const maxTextLength = 300;
