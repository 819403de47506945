import { timingSafeEqual } from 'node:crypto';
import type { Registration, RegistrationResult } from '../../tunnel/wire/registration.ts';
import type { ConnectionTable } from './connection-table.ts';
import type { ConnectorConnection } from './connector-connection.ts';
import type { EdgeFaults } from './faults.ts';

/** What the edge knows of a tunnel. */
export interface TunnelSecret {
  /** Raw bytes. A secret. */
  readonly secret: Uint8Array;
  readonly remotelyManaged?: boolean;
}

export interface Registry {
  readonly table: ConnectionTable;
  readonly faults: EdgeFaults;
  readonly locationName: string;
  /** Refuse a second connection of the same tunnel, connector and index, as one edge server does. */
  readonly refuseDuplicates: boolean;
  /** Null: there is no such tunnel (any more) in that account. */
  checkTunnel(accountTag: string, tunnelId: string): TunnelSecret | null;
  /** False: the tunnel has as many connections as it may have. */
  opened(connection: ConnectorConnection, registration: Registration): boolean;
}

/** Decides whether a connector may serve a tunnel, and enters it if so. */
export function register(
  connection: ConnectorConnection,
  registration: Registration,
  registry: Registry,
): RegistrationResult {
  const planned = registry.faults.refusalFor(registration.tunnelId);
  if (planned !== null) return refused(planned.cause, planned.shouldRetry, planned.retryAfterMs);
  const tunnel = registry.checkTunnel(registration.accountTag, registration.tunnelId);
  if (tunnel === null) return refused('Unauthorized: Tunnel not found', false);
  if (!sameSecret(tunnel.secret, registration.tunnelSecret)) {
    return refused('Unauthorized: Invalid tunnel secret', false);
  }
  if (registry.refuseDuplicates && isDuplicate(registration, registry.table)) {
    return refused('EDUPCONN', true);
  }
  if (!registry.opened(connection, registration)) return refused('too many connections of the tunnel', true);
  registry.table.add(connection, registration.tunnelId);
  return {
    kind: 'registered',
    connectionId: connection.id,
    locationName: registry.locationName,
    remotelyManaged: tunnel.remotelyManaged ?? false,
  };
}

function isDuplicate(registration: Registration, table: ConnectionTable): boolean {
  const { tunnelId, connIndex, client } = registration;
  return table
    .find({ tunnelId, connIndex })
    .some((other) => other.registration?.client.clientId === client.clientId && other.state === 'serving');
}

function sameSecret(known: Uint8Array, given: Uint8Array): boolean {
  return known.length === given.length && timingSafeEqual(known, given);
}

function refused(cause: string, shouldRetry: boolean, retryAfterMs = 0): RegistrationResult {
  return { kind: 'refused', cause, shouldRetry, retryAfterNanoseconds: BigInt(retryAfterMs) * 1_000_000n };
}
