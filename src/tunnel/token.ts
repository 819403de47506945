import { tokenFields } from '../domain/tunnel-token.ts';
import { failed, ok, type Result } from '../fault.ts';
import type { TunnelCredentials } from './link.ts';
import { isUuid } from './wire/uuid.ts';

/** Longest token that is looked at. Real ones have about 250 characters. */
const maxTokenLength = 4096;

/** cloudflared makes 32 bytes; a secret may be longer. */
export const minTunnelSecretBytes = 32;

export interface ParsedToken {
  readonly credentials: TunnelCredentials;
  /** Region of edge discovery; empty is the default one. */
  readonly region: string;
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const regionName = /^[a-z0-9-]{0,32}$/;

/**
 * A tunnel token (protocol page section 1.3): base64 of a JSON object with account `a`, tunnel `t`, secret `s`
 * and optionally endpoint `e`. White space around it is ignored. The fault is `credentials-invalid`; its
 * message never repeats what was read.
 */
export function parseTunnelToken(token: string): Result<ParsedToken> {
  const text = token.trim();
  if (text === '') return invalid('is empty');
  if (text.length > maxTokenLength) return invalid(`is longer than ${maxTokenLength} characters`);
  if (!base64.test(text)) return invalid('is not base64');
  const fields = tokenFields(text);
  if (fields === null) return invalid('does not hold a JSON object');
  const { a: accountTag, t: tunnelId, s: tunnelSecret, e: region = '' } = fields;
  if (typeof accountTag !== 'string' || accountTag === '') return invalid('has no account tag "a"');
  if (typeof tunnelId !== 'string' || !isUuid(tunnelId)) return invalid('has no tunnel UUID "t"');
  if (typeof tunnelSecret !== 'string' || !base64.test(tunnelSecret)) {
    return invalid('has no base64 secret "s"');
  }
  if (Buffer.byteLength(tunnelSecret, 'base64') < minTunnelSecretBytes) {
    return invalid(`has a secret of fewer than ${minTunnelSecretBytes} bytes`);
  }
  if (typeof region !== 'string' || !regionName.test(region))
    return invalid('has an endpoint "e" that is no region');
  return ok({ credentials: { accountTag, tunnelId: tunnelId.toLowerCase(), tunnelSecret }, region });
}

function invalid(what: string): Result<never> {
  return failed('credentials-invalid', `the tunnel token ${what}`);
}
