import { once } from 'node:events';
import type { ClientHttp2Stream } from 'node:http2';
import type { ConnectorConnection } from './connector-connection.ts';

/** What a connector said to a configuration. */
export interface ConfigurationAnswer {
  readonly clientId: string;
  readonly status: number;
  readonly body: string;
}

const maxAnswerBytes = 64 << 10;

/** Sends `update-configuration` over one serving connection of each connector (protocol page section 11). */
export async function pushConfiguration(
  connections: readonly ConnectorConnection[],
  version: number,
  config: unknown,
): Promise<ConfigurationAnswer[]> {
  const byClient = new Map<string, ConnectorConnection>();
  for (const connection of connections) {
    const clientId = connection.registration?.client.clientId;
    if (clientId !== undefined && connection.state === 'serving') byClient.set(clientId, connection);
  }
  const body = JSON.stringify({ version, config });
  return Promise.all(
    Array.from(byClient, async ([clientId, connection]) => ({
      clientId,
      ...(await ask(connection, body)),
    })),
  );
}

async function ask(connection: ConnectorConnection, body: string): Promise<{ status: number; body: string }> {
  const stream = connection.open(
    [
      ...[':method', 'PUT', ':scheme', 'https', ':authority', 'edge.sandbox', ':path', '/'],
      ...['cf-cloudflared-proxy-connection-upgrade', 'update-configuration'],
      ...['content-type', 'application/json'],
    ],
    { endStream: false, trailers: false },
  );
  if (stream === null) return noAnswer;
  stream.on('error', () => {});
  stream.end(body);
  return answerOf(stream);
}

async function answerOf(stream: ClientHttp2Stream): Promise<{ status: number; body: string }> {
  let status = 0;
  let body = '';
  stream.setEncoding('utf8');
  stream.once('response', (headers) => {
    status = headers[':status'] ?? 0;
  });
  stream.on('data', (text: string) => {
    if (body.length < maxAnswerBytes) body += text;
  });
  if (!stream.closed) await once(stream, 'close').catch(() => {});
  return { status, body };
}

/** The connection went away before it could be asked. */
const noAnswer = { status: 0, body: '' };
