import type { IngressMessage, SupervisorMessage } from './messages.ts';

/**
 * Newest wins: of several waiting messages with one key only the last is worth reading. Those without a key are all
 * read.
 */

export function supervisorKey(message: SupervisorMessage): string | undefined {
  switch (message.type) {
    case 'ingress.present':
      return `ingress ${message.spec.key}`;
    case 'ingress.removed':
      return `ingress ${message.key}`;
    case 'service.present':
      return `service ${message.service.name}`;
    case 'service.removed':
      return `service ${message.name}`;
    case 'slice.present':
      return `slice ${message.slice.name}`;
    case 'slice.removed':
      return `slice ${message.name}`;
    case 'ledger.present':
      return `ledger ${message.entry.host}`;
    case 'ledger.removed':
      return `ledger ${message.host}`;
    default:
      return undefined;
  }
}

export function ingressMessageKey(message: IngressMessage): string | undefined {
  switch (message.type) {
    case 'assigned':
    case 'try.again':
    case 'cloudflare.returned':
    case 'leadership.changed':
      return message.type;
    case 'backend':
      return `backend ${message.service}`;
    case 'ca':
      return `ca ${message.secret}`;
    case 'ledger.seen':
      return `ledger ${message.host}`;
    default:
      return undefined;
  }
}
