/** What we read of Cloudflare's objects, parsed once; null for what is not of that shape. */

export interface SeenTunnel {
  readonly id: string;
  readonly name: string;
  readonly deleted: boolean;
  /** Connections that the edge has for it now; 0 where the answer does not say. */
  readonly connections: number;
  /** Only in the answer to a creation. A secret. */
  readonly token: string | null;
}

export interface SeenRecord {
  readonly id: string;
  readonly type: string;
  /** Full name in lower case. */
  readonly name: string;
  readonly content: string;
  readonly proxied: boolean;
}

export interface SeenZone {
  readonly id: string;
  /** Lower case. */
  readonly name: string;
  /** Empty when the answer does not say. */
  readonly accountId: string;
}

export function tunnelOf(value: unknown): SeenTunnel | null {
  const { id, name, deleted_at: deletedAt, token, connections } = fieldsOf(value);
  if (!isText(id) || typeof name !== 'string') return null;
  // Go's zero time stands for "never" in some answers.
  const deleted = isText(deletedAt) && !deletedAt.startsWith('0001-01-01');
  const count = Array.isArray(connections) ? connections.length : 0;
  return { id, name, deleted, connections: count, token: isText(token) ? token : null };
}

export function recordOf(value: unknown): SeenRecord | null {
  const { id, type, name, content, proxied } = fieldsOf(value);
  if (!isText(id) || !isText(type) || !isText(name)) return null;
  const text = typeof content === 'string' ? content : '';
  return { id, type, name: name.toLowerCase(), content: text, proxied: proxied === true };
}

export function zoneOf(value: unknown): SeenZone | null {
  const { id, name, account } = fieldsOf(value);
  if (!isText(id) || !isText(name)) return null;
  const accountId = fieldsOf(account).id;
  return { id, name: name.toLowerCase(), accountId: isText(accountId) ? accountId : '' };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
