import { type Http2Session, performServerHandshake, type ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type {
  EdgeSession,
  EdgeSessionEvents,
  EdgeStream,
  SessionEnd,
  StreamHandler,
} from '../../src/tunnel/edge-session.ts';

/** An `EdgeSession` over node:http2: a second opinion on the seam, for tests of what stands above it. */
export function createNodeHttp2Session(socket: TLSSocket, events: EdgeSessionEvents): EdgeSession {
  const session: Http2Session = performServerHandshake(socket, {});
  const open = new Set<() => void>();
  let end: SessionEnd = { by: 'peer' };
  session.on(
    'stream' as never,
    ((stream: ServerHttp2Stream, _: unknown, __: number, raw: string[]) => {
      carry(stream, raw);
    }) as never,
  );
  session.on('goaway', (code: number) => events.goaway(code));
  session.on('error', (error: Error) => {
    end = { by: 'error', message: error.message };
  });
  session.on('close', () => {
    for (const tellReset of open) tellReset();
    events.ended(end);
  });
  return {
    close() {
      end = { by: 'own' };
      session.close();
    },
    destroy() {
      end = { by: 'own' };
      session.destroy();
    },
    ping: (answered) =>
      void session.ping((error: Error | null, ms: number) => {
        if (error === null) answered(ms);
      }),
    get openStreams() {
      return open.size;
    },
  };

  function carry(stream: ServerHttp2Stream, raw: string[]): void {
    const pseudo = (name: string): string => raw[raw.indexOf(name) + 1] ?? '';
    const regular: string[] = [];
    for (let index = 0; index < raw.length; index += 2) {
      const name = raw[index] as string;
      if (!name.startsWith(':')) regular.push(name, raw[index + 1] as string);
    }
    let handler: StreamHandler | null = null;
    let over = false;
    const tellReset = (): void => {
      open.delete(tellReset);
      if (over) return;
      over = true;
      handler?.reset(stream.rstCode ?? 8);
    };
    open.add(tellReset);
    const edgeStream: EdgeStream = {
      id: stream.id ?? 0,
      respond: (status, headers, ended) => {
        const fields: Record<string, string | number> = { ':status': status };
        for (let index = 0; index < headers.length; index += 2) {
          fields[headers[index] as string] = headers[index + 1] as string;
        }
        if (!stream.destroyed) stream.respond(fields, { endStream: ended });
      },
      write: (chunk) => stream.destroyed || stream.write(chunk),
      end: () => void stream.end(),
      reset: (code) => {
        over = true;
        stream.close(code);
      },
      pause: () => void stream.pause(),
      resume: () => void stream.resume(),
    };
    stream.on('error', () => {});
    stream.on('close', () => {
      if (stream.rstCode === 0) over = true;
      tellReset();
    });
    stream.on('drain', () => handler?.drain());
    handler = events.stream(edgeStream, {
      method: pseudo(':method'),
      path: pseudo(':path'),
      scheme: pseudo(':scheme'),
      authority: pseudo(':authority'),
      headers: regular,
      ended: stream.readableEnded,
    });
    stream.on('data', (chunk: Buffer) => {
      if (!over) handler.data(chunk);
    });
    stream.on('end', () => {
      if (!over) handler.end([]);
    });
  }
}
