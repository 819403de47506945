/** An Event on an Ingress: a stable reason that users may match, and a sentence that says what to do. */
export interface EventNote {
  readonly type: 'Normal' | 'Warning';
  readonly reason: EventReason;
  readonly message: string;
}

export type EventReason =
  | 'TunnelReady'
  | 'TunnelLost'
  | 'TunnelRestarted'
  | 'TunnelQuarantined'
  | 'WaitingForService'
  | 'WaitingForEndpoints'
  | 'WaitingForPods'
  | 'InvalidIngress'
  | 'HostTaken'
  | 'DnsConflict'
  | 'ZoneUnknown'
  | 'CredentialsInvalid'
  | 'QuotaExceeded'
  | 'RateLimited'
  | 'CloudflareFailed'
  | 'LedgerRefused'
  | 'TlsAtEdge'
  | 'AnnotationIgnored';
