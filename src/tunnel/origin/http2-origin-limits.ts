import { defaultHttp2Limits, type Http2Limits } from '../wire/http2-limits.ts';
import { maxHeaderLines } from './http1-head.ts';
import { maxHeadBytes } from './http1-parser.ts';

/** Streams at the same time on one session, also where the origin allows more. */
export const maxStreams = 256;

const mebi = 1024 * 1024;

/**
 * What a session holds against its origin: as for HTTP/1.1 where both know the thing, else as for the edge. What is told
 * only to a client, or only by one, is not used.
 */
export const originHttp2Limits: Http2Limits = {
  ...defaultHttp2Limits,
  maxFrameBytes: mebi / 8,
  maxHeaderListBytes: maxHeadBytes,
  maxHeaderFields: maxHeaderLines,
  maxHeaderBlockBytes: 2 * maxHeadBytes,
  /**
   * As the edge gives one stream. No window is a round number: the server of Node.js does not end a response of unknown
   * length whose last byte fills one (`Responses.streamReset`), and most of what programs write is round.
   */
  streamWindowBytes: mebi - 1,
  connectionWindowBytes: 8 * mebi - 1,
  idleFramesPerData: 1,
  /**
   * Go's server gives back both windows for each 4 KiB that are read, and takes frames as long as ours are: 64 KiB. It
   * may do that as fast as we send.
   */
  windowUpdatesPerData: 32,
};
