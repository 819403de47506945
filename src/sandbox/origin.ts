import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { pages } from './origin-pages.ts';

export interface SandboxOrigin {
  readonly url: string;
  readonly port: number;
  /** Ends every connection, also those that are in use. Idempotent. */
  stop(): Promise<void>;
}

/** Largest WebSocket message that is echoed. */
const maxMessageBytes = 128 * 1024 * 1024;

/**
 * The sample web application behind the sandbox's Service, on loopback: a page that says what it saw, and pages
 * for everything a connector must carry (see `origin-pages.ts`); `/ws` echoes WebSocket messages. Port 0 is any.
 */
export async function startOrigin(options: { readonly port?: number } = {}): Promise<SandboxOrigin> {
  const sockets = new Set<Socket>();
  const webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: maxMessageBytes,
    handleProtocols: (protocols) => [...protocols][0] ?? false,
  });
  const server = createServer((request, response) => {
    const url = new URL(`http://origin${originForm(request)}`);
    const page = pages[url.pathname] ?? pages['/']!;
    page(request, response, url);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (request, socket, head) => {
    if (!originForm(request).startsWith('/ws')) {
      socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('error', () => webSocket.terminate());
      webSocket.on('message', (message, binary) => webSocket.send(message, { binary }));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  let stopped: Promise<void> | null = null;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    stop() {
      stopped ??= new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      });
      return stopped;
    },
  };
}

/** Path and query; a request in another form (`*`, absolute) gets the page `/`. */
function originForm(request: IncomingMessage): string {
  const path = request.url ?? '/';
  return path.startsWith('/') ? path : '/';
}
