import { randomBytes } from 'node:crypto';

/** Headers on their way between an eyeball and a connector; lists are name, value, … as on the wire. */

/** RFC 9110 section 7.6.1, and what HTTP/2 forbids (RFC 9113 section 8.2.2). */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/** A connector believes these; they come from an edge only (protocol page section 15). */
const internalPrefixes = ['cf-cloudflared-', 'cf-int-', 'cf-proxy-'];

/** What an edge says itself, whatever the eyeball said. */
const edgeOwned = new Set([
  'cf-connecting-ip',
  'cf-ipcountry',
  'cf-ray',
  'cf-visitor',
  'cdn-loop',
  'x-forwarded-for',
  'x-forwarded-proto',
]);

export interface EyeballRequest {
  readonly method: string;
  /** Origin form, or `*`. */
  readonly path: string;
  /** The Host header. */
  readonly authority: string;
  readonly rawHeaders: readonly string[];
  readonly remoteAddress: string;
  readonly ray: string;
  readonly isWebSocket: boolean;
}

/** The head of the HTTP/2 request to the connector. */
export function requestHead(request: EyeballRequest): string[] {
  const head = [
    ...[':method', request.method, ':scheme', 'http', ':authority', request.authority],
    ...[':path', request.path],
  ];
  const named = connectionNames(request.rawHeaders);
  const forwardedFor: string[] = [];
  const loops: string[] = [];
  for (const [name, value] of pairs(request.rawHeaders)) {
    if (name === 'x-forwarded-for') forwardedFor.push(value);
    else if (name === 'cdn-loop') loops.push(value);
    else if (name === 'te' && /\btrailers\b/i.test(value)) head.push('te', 'trailers');
    else if (passesUp(name, named)) head.push(name, value);
  }
  head.push('cf-connecting-ip', request.remoteAddress, 'cf-ipcountry', 'XX', 'cf-ray', request.ray);
  head.push('cf-visitor', '{"scheme":"http"}', 'cdn-loop', [...loops, 'cloudflare; loops=1'].join(', '));
  head.push('x-forwarded-for', [...forwardedFor, request.remoteAddress].join(', '));
  head.push('x-forwarded-proto', 'http');
  if (request.isWebSocket) head.push('cf-cloudflared-proxy-connection-upgrade', 'websocket');
  return head;
}

/** The eyeball's view of the origin's headers, `date` left to the HTTP server where the origin sent none. */
export function responseHead(originHeaders: readonly string[], ray: string): string[] {
  const named = connectionNames(originHeaders);
  const head: string[] = [];
  for (let index = 0; index + 1 < originHeaders.length; index += 2) {
    const name = originHeaders[index]!.toLowerCase();
    if (hopByHop.has(name) || named.has(name) || name === 'server' || isInternal(name)) continue;
    // Whether trailers can follow is between this edge and its eyeball.
    if (name === 'trailer') continue;
    head.push(originHeaders[index]!, originHeaders[index + 1]!);
  }
  head.push('Server', 'cloudflare', 'CF-RAY', ray);
  return head;
}

/** The head of a 101; here `Connection` and `Upgrade` belong to the answer. */
export function upgradeHead(originHeaders: readonly string[], ray: string): string {
  let head = 'HTTP/1.1 101 Switching Protocols\r\n';
  for (const [name, value] of [...pairsAsGiven(originHeaders), ['CF-RAY', ray] as const]) {
    const lower = name.toLowerCase();
    if (lower === 'content-length' || lower === 'transfer-encoding' || isInternal(lower)) continue;
    head += `${name}: ${value}\r\n`;
  }
  return `${head}\r\n`;
}

/** Does the origin agree to become a WebSocket? */
export function upgradesToWebSocket(originHeaders: readonly string[]): boolean {
  for (const [name, value] of pairs(originHeaders)) {
    if (name === 'upgrade' && value.toLowerCase() === 'websocket') return true;
  }
  return false;
}

export function newRay(locationName: string): string {
  return `${randomBytes(8).toString('hex')}-${locationName.slice(0, 3).toUpperCase()}`;
}

function passesUp(name: string, named: ReadonlySet<string>): boolean {
  return !(
    name === 'host' ||
    name === 'expect' || // answered here: the HTTP server sends 100 Continue
    name === 'http2-settings' ||
    hopByHop.has(name) ||
    named.has(name) ||
    edgeOwned.has(name) ||
    isInternal(name)
  );
}

function isInternal(lowerCaseName: string): boolean {
  return internalPrefixes.some((prefix) => lowerCaseName.startsWith(prefix));
}

/** Names that a Connection header makes hop-by-hop. */
function connectionNames(headers: readonly string[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [name, value] of pairs(headers)) {
    if (name === 'connection') for (const part of value.split(',')) names.add(part.trim().toLowerCase());
  }
  return names;
}

function* pairs(headers: readonly string[]): Generator<readonly [lowerCaseName: string, value: string]> {
  for (const [name, value] of pairsAsGiven(headers)) yield [name.toLowerCase(), value];
}

function* pairsAsGiven(headers: readonly string[]): Generator<readonly [name: string, value: string]> {
  for (let index = 0; index + 1 < headers.length; index += 2) yield [headers[index]!, headers[index + 1]!];
}
