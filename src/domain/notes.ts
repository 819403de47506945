import { dispositionOf, type Fault, type FaultCode } from '../fault.ts';
import type { LostPath } from './claims.ts';
import type { EventNote, EventReason } from './event.ts';

const reasons: Partial<Record<FaultCode, EventReason>> = {
  'dns-conflict': 'DnsConflict',
  'host-taken': 'HostTaken',
  'zone-unknown': 'ZoneUnknown',
  'credentials-invalid': 'CredentialsInvalid',
  'quota-exceeded': 'QuotaExceeded',
  'cloudflare-rate-limited': 'RateLimited',
  'ingress-invalid': 'InvalidIngress',
};

/** What mostly passes by itself, and is only worth an Event where it keeps a host from being served. */
const reasonsOfLasting: Partial<Record<FaultCode, EventReason>> = {
  'cloudflare-unreachable': 'CloudflareFailed',
  'cloudflare-refused': 'CloudflareFailed',
  // Also what an API server answers whose admission webhook fails (500).
  'kube-unreachable': 'LedgerRefused',
  'kube-forbidden': 'LedgerRefused',
  'kube-refused': 'LedgerRefused',
};

/** The Event for a step that failed, or null when it is retried and nobody misses what it is for. */
export function noteOfFault(host: string, fault: Fault, isMissed: boolean): EventNote | null {
  const reason = reasons[fault.code] ?? (isMissed ? reasonsOfLasting[fault.code] : undefined);
  if (reason === undefined) return null;
  const next =
    dispositionOf(fault.code) === 'await-change'
      ? 'What runs goes on; tried again when something changes and every few minutes'
      : 'Tried again by itself';
  return { type: 'Warning', reason, message: `${ofHost(host, fault)}. ${next}` };
}

/** What happened, with the host that it is about, which some faults name themselves. */
export function ofHost(host: string, { message }: Fault): string {
  const words = message.split(/[^\w.*-]+/);
  return words.includes(host) ? message : `${host}: ${message}`;
}

/** Why a path of an Ingress is not served. */
export function textOfLost({ host, path, to, because }: LostPath): string {
  switch (because) {
    case 'path':
      return `${host}${path} belongs to the older Ingress "${to}" and is served from there`;
    case 'access':
      return `${host}${path} is not served: the older Ingress "${to}" has the host with another Access protection`;
    case 'default':
      return `${host}: the Ingress "${to}" has a rule for all paths, which goes before the default backend`;
  }
}
