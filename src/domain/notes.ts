import { dispositionOf, type Fault, type FaultCode } from '../fault.ts';
import type { EventNote, EventReason } from './event.ts';

const reasons: Partial<Record<FaultCode, EventReason>> = {
  'dns-conflict': 'DnsConflict',
  'zone-unknown': 'ZoneUnknown',
  'credentials-invalid': 'CredentialsInvalid',
  'quota-exceeded': 'QuotaExceeded',
  'cloudflare-rate-limited': 'RateLimited',
  'ingress-invalid': 'InvalidIngress',
};

/** The Event for a step that failed, or null when it is retried and nobody can do anything about it. */
export function noteOfFault(host: string, fault: Fault): EventNote | null {
  const reason = reasons[fault.code];
  if (reason === undefined) return null;
  const next =
    dispositionOf(fault.code) === 'await-change'
      ? 'What runs goes on; tried again when something changes and every few minutes'
      : 'Tried again by itself';
  return { type: 'Warning', reason, message: `${host}: ${fault.message}. ${next}` };
}

/** Settings that are understood but not built yet; better refused than quietly not enforced. */
export function unavailableSettings(settings: {
  readonly mode: string;
  readonly origin: { readonly protocol: string };
}): string | null {
  if (settings.mode === 'pod') return 'mode "pod" is not available in this version; use "worker"';
  if (settings.origin.protocol === 'tcp') return 'backend-protocol "tcp" is not available in this version';
  return null;
}
