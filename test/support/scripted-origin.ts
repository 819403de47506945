import { type AddressInfo, createServer, type Socket } from 'node:net';

/** An origin that says exactly what a test wants, byte for byte. */
export interface ScriptedOrigin {
  readonly port: number;
  /** Connections in the order they came, with what arrived on each as latin1. */
  readonly connections: readonly ScriptedConnection[];
  stop(): Promise<void>;
}

export interface ScriptedConnection {
  readonly socket: Socket;
  /** As latin1; no more is kept than `maxKeptText`, the rest is only counted. */
  received: string;
  receivedBytes: number;
  /** Requests whose head is complete. */
  requests: number;
  closed: boolean;
}

const maxKeptText = 256 * 1024;

/** Told of every complete request head (its text with the empty line); answers on the socket as it likes. */
export type OriginScript = (connection: ScriptedConnection, head: string) => void;

export async function scriptOrigin(script: OriginScript): Promise<ScriptedOrigin> {
  const connections: ScriptedConnection[] = [];
  const server = createServer((socket) => {
    const connection: ScriptedConnection = {
      socket,
      received: '',
      receivedBytes: 0,
      requests: 0,
      closed: false,
    };
    connections.push(connection);
    let looked = 0;
    socket.on('data', (chunk) => {
      connection.receivedBytes += chunk.length;
      if (connection.received.length > maxKeptText) return;
      connection.received += chunk.toString('latin1');
      for (let end = nextHead(); end >= 0; end = nextHead()) {
        const line = connection.received.indexOf(' HTTP/1.1\r\n', looked);
        const start = Math.max(connection.received.lastIndexOf('\n', line) + 1, looked);
        const head = connection.received.slice(start, end);
        looked = end;
        connection.requests += 1;
        script(connection, head);
      }
      function nextHead(): number {
        const line = connection.received.indexOf(' HTTP/1.1\r\n', looked);
        const end = line < 0 ? -1 : connection.received.indexOf('\r\n\r\n', line);
        return end < 0 ? -1 : end + 4;
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      connection.closed = true;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    stop() {
      for (const { socket } of connections) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
