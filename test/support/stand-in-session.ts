import { type IncomingHttpHeaders, performServerHandshake, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { EdgeSession, EdgeSessionEvents, EdgeStream } from '../../src/tunnel/edge-session.ts';

/** An `EdgeSession` over node:http2: what the proxy is tested with besides the real one. */
export function standInSession(socket: Socket, events: EdgeSessionEvents): EdgeSession {
  const session = performServerHandshake(socket, { settings: { initialWindowSize: 1 << 20 } });
  let open = 0;
  let ended = false;
  session.on('error', () => {});
  session.on('close', () => {
    if (ended) return;
    ended = true;
    setImmediate(() => events.ended({ by: 'peer' }));
  });
  session.on('goaway', (code) => events.goaway(code));
  session.on('stream', (stream, headers, flags, rawHeaders) => {
    open += 1;
    stream.on('close', () => {
      open -= 1;
    });
    serve(stream, headers, (flags & 1) === 1, rawHeaders as unknown as string[], events);
  });
  return {
    close: () => session.close(),
    destroy: () => session.destroy(),
    ping: (answered) => void session.ping((_error, duration) => answered(duration)),
    get openStreams() {
      return open;
    },
  };
}

function serve(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  headEnded: boolean,
  raw: readonly string[],
  events: EdgeSessionEvents,
): void {
  const regular: string[] = [];
  for (let i = 0; i < raw.length; i += 2) if (!raw[i]!.startsWith(':')) regular.push(raw[i]!, raw[i + 1]!);
  let silent = false;
  let ended = false;
  let full = false;
  const edge: EdgeStream = {
    id: stream.id ?? 0,
    respond(status, list, end) {
      const fields: Record<string, string | string[]> = {};
      for (let i = 0; i < list.length; i += 2) fields[list[i]!] = list[i + 1]!;
      stream.respond({ ':status': status, ...fields }, { endStream: end, waitForTrailers: !end });
      ended = end;
    },
    write(chunk) {
      const room = stream.write(chunk);
      full = !room;
      return room;
    },
    end(trailers = []) {
      ended = true;
      stream.on('wantTrailers', () => {
        const fields: Record<string, string> = {};
        for (let i = 0; i < trailers.length; i += 2) fields[trailers[i]!] = trailers[i + 1]!;
        stream.sendTrailers(fields);
      });
      stream.end();
    },
    reset(code) {
      if (silent) return;
      silent = true;
      if (code === 0 && ended) stream.once('finish', () => stream.close(0));
      else stream.close(code);
    },
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
  };
  const handler = events.stream(edge, {
    method: String(headers[':method']),
    path: String(headers[':path']),
    scheme: String(headers[':scheme']),
    authority: headers[':authority'] === undefined ? '' : String(headers[':authority']),
    headers: regular,
    ended: headEnded,
  });
  let trailers: readonly string[] = [];
  stream.on('trailers', (_fields, _flags, list?: unknown) => {
    trailers = (list as string[] | undefined) ?? [];
  });
  stream.on('data', (chunk: Buffer) => {
    if (!silent) handler.data(chunk);
  });
  stream.on('end', () => {
    if (!silent && !headEnded) handler.end(trailers);
  });
  stream.on('drain', () => {
    if (full && !silent) handler.drain();
  });
  stream.on('error', () => {});
  stream.on('aborted', () => {
    if (silent) return;
    silent = true;
    handler.reset(stream.rstCode);
  });
}
