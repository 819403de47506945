import type { EdgeStream, RequestHead } from './edge-session.ts';
import type { StreamHandler } from './http2/stream.ts';
import { http2Error } from './wire/http2-errors.ts';

/**
 * Answers to the kinds of streams that this connector does not carry. Bodies are read and thrown away, so that
 * the edge is never stuck behind its own upload.
 */

const ignored: StreamHandler = { data() {}, end() {}, reset() {}, drain() {} };

/**
 * A configuration push (protocol page section 11): our routes come from the Ingress or the command line, so nothing
 * is applied and the answer says why. It is sent when the body is there, as the edge expects.
 */
export function refuseConfiguration(stream: EdgeStream, head: RequestHead): StreamHandler {
  const answer = (): void => {
    stream.respond(200, ['content-type', 'application/json'], false);
    stream.write(Buffer.from(configurationRefusal));
    stream.end();
  };
  if (!head.ended) return { ...ignored, end: answer };
  answer();
  return ignored;
}

const configurationRefusal = JSON.stringify({
  lastAppliedVersion: -1,
  // An object, as cloudflared's errors are on the wire: a reader made for those need not take a text.
  err: { message: 'the routes of this connector are set where it runs, not by remote configuration' },
});

/** Private-network TCP reaches any address from here (section 15), so it is never opened. */
export function refuseTcp(stream: EdgeStream, head: RequestHead): StreamHandler {
  stream.respond(502, ['cf-cloudflared-response-meta', '{"src":"cloudflared"}', 'content-length', '0'], true);
  if (!head.ended) stream.reset(http2Error.noError);
  return ignored;
}

/** A stream that makes no sense, such as a second control stream. */
export function refuseStream(stream: EdgeStream): StreamHandler {
  stream.reset(http2Error.refusedStream);
  return ignored;
}
