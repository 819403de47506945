import type { Socket } from 'node:net';

/** The peer has cut the connection; whatever else fails a write ends the socket as ever. */
const cutCodes = new Set(['EPIPE', 'ECONNRESET']);

/**
 * Tells of writes that find the connection cut, instead of letting the socket end itself with them. An origin that
 * answers early and closes, as for 413, cuts the connection under the rest of the body (RFC 9112, section 9.6): what
 * it said may be here already, unread, and can still be read up to its end. Such a write never completes, so no other
 * is begun. By `_write` and `_writev`, which whoever makes a stream may replace (node:stream, "API for stream
 * implementers").
 */
export function hearFailedWrites(socket: Socket, failed: (error: Error) => void): void {
  const heard = (done: (error?: Error | null) => void) => (error?: Error | null) => {
    if (error != null && cutCodes.has((error as NodeJS.ErrnoException).code ?? '')) failed(error);
    else done(error);
  };
  const write = socket._write.bind(socket);
  socket._write = (chunk, encoding, done) => write(chunk, encoding, heard(done));
  const writev = socket._writev?.bind(socket);
  if (writev !== undefined) socket._writev = (chunks, done) => writev(chunks, heard(done));
}
