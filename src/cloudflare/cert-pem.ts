import { failed, ok, type Result } from '../fault.ts';

/** What `cloudflared tunnel login` leaves behind, as far as we need it. Holds a secret: never logged. */
export interface OriginCert {
  readonly accountId: string;
  readonly zoneId: string;
  readonly apiToken: string;
  /** Lower case; empty for Cloudflare's ordinary network, `fed` for its FedRAMP one. */
  readonly endpoint: string;
}

/**
 * Reads a `cert.pem` in all its forms (protocol page, section 1.1). Pure. Messages say what was seen and what
 * to do, and never hold anything from inside a block.
 */
export function parseCertPem(text: string): Result<OriginCert> {
  if (text.trim() === '') return invalid('the file is empty');
  const blocks = pemBlocks(text);
  if (!blocks.ok) return blocks;
  if (blocks.value.length === 0) return invalid('the file holds no PEM block');
  const unknown = blocks.value.find((block) => block.type !== tokenType && !ignoredTypes.has(block.type));
  if (unknown !== undefined) return invalid(`it holds an unknown block "${unknown.type}"`);
  const [token, second] = blocks.value.filter((block) => block.type === tokenType);
  if (token === undefined) return outdated(`it holds no "${tokenType}" block`);
  if (second !== undefined) return invalid('it holds more than one token');
  if (!base64.test(token.body) || token.body.length % 4 !== 0) {
    return invalid(`its "${tokenType}" block is cut off or not base64`);
  }
  return parseToken(Buffer.from(token.body, 'base64').toString('utf8'));
}

function parseToken(text: string): Result<OriginCert> {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    // Before the JSON form the block was zone id and service key, each on a line of its own.
    const lines = text.trim().split('\n');
    if (lines.length >= 2 && /^[0-9a-f]{32}$/i.test(lines[0]!.trim())) {
      return outdated('it is of the plain text form of an old cloudflared');
    }
    return invalid(`the content of its "${tokenType}" block is not JSON`);
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    return invalid(`the content of its "${tokenType}" block is not a JSON object`);
  }
  const fields: Readonly<Record<string, unknown>> = { ...content };
  for (const name of ['zoneID', 'accountID', 'apiToken', 'endpoint']) {
    const value = fields[name];
    if (value !== undefined && typeof value !== 'string') return invalid(`its field "${name}" is no string`);
  }
  const textOf = (name: string): string => String(fields[name] ?? '').trim();
  const zoneId = textOf('zoneID');
  const accountId = textOf('accountID');
  const apiToken = textOf('apiToken');
  if (apiToken === '' && 'serviceKey' in fields)
    return outdated('it holds a service key instead of an API token');
  if (apiToken === '') return outdated('its field "apiToken" is missing');
  if (!isHeaderSafe(apiToken)) return invalid('its field "apiToken" has characters that no token has');
  if (zoneId === '') return outdated('its field "zoneID" is missing');
  if (accountId === '') return outdated('its field "accountID" is missing');
  return ok({ accountId, zoneId, apiToken, endpoint: textOf('endpoint').toLowerCase() });
}

/** Printable ASCII without spaces: anything else would break, or be quoted in an error of, the HTTP client. */
export function isHeaderSafe(token: string): boolean {
  return /^[\x21-\x7e]+$/.test(token);
}

interface PemBlock {
  readonly type: string;
  /** Base64 without white space. */
  readonly body: string;
}

/** Text outside of blocks is skipped, as Go's decoder does; a block without its end is an error. */
function pemBlocks(text: string): Result<PemBlock[]> {
  const blocks: PemBlock[] = [];
  const begin = /^-----BEGIN ([A-Z0-9 ]{1,60})-----[ \t]*$/gm;
  const normalized = text.replace(/\r\n?/g, '\n');
  for (let match = begin.exec(normalized); match !== null; match = begin.exec(normalized)) {
    const type = match[1]!;
    const end = normalized.indexOf(`\n-----END ${type}-----`, begin.lastIndex - 1);
    if (end < 0) return invalid(`its "${type}" block has no end line: the file is cut off`);
    const lines = normalized.slice(begin.lastIndex, Math.max(end, begin.lastIndex)).split('\n');
    // Header lines ("Proc-Type: …") may stand before the data (RFC 1421); nothing we read is in them.
    blocks.push({
      type,
      body: lines
        .filter((line) => !line.includes(':'))
        .join('')
        .replace(/\s/g, ''),
    });
    begin.lastIndex = end + 1;
  }
  return ok(blocks);
}

function invalid(what: string): Result<never> {
  return failed('credentials-invalid', what);
}

function outdated(what: string): Result<never> {
  return invalid(`${what}; log in again with "cloudflared tunnel login" and mount the new file`);
}

const tokenType = 'ARGO TUNNEL TOKEN';
const ignoredTypes = new Set(['PRIVATE KEY', 'CERTIFICATE']);
const base64 = /^[A-Za-z0-9+/]+={0,2}$/;
