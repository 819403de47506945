import type { HeaderField } from '../wire/hpack-static.ts';
import type { Http2Stream } from './stream.ts';

/**
 * What depends on which end of a connection we are (RFC 9113, section 8): who opens streams, and what a header block
 * means. Everything else of HTTP/2 is the same for both. `fields` are null when the list was larger than our limits.
 */
export interface Role<S extends Http2Stream> {
  /** For GOAWAY: no stream of the peer's above it was or will be processed. */
  readonly lastStreamId: number;
  /** Nobody has opened the stream, so the peer cannot have anything to say about it. */
  isIdle(streamId: number): boolean;
  /** A header block of an open stream. */
  headers(stream: S, fields: readonly HeaderField[] | null, endStream: boolean): void;
  /** A header block of any other stream. `listBytes` is its size, `selfDependent` that its priority names itself. */
  unknownHeaders(
    streamId: number,
    fields: readonly HeaderField[] | null,
    listBytes: number,
    endStream: boolean,
    selfDependent: boolean,
  ): void;
  /** RST_STREAM for an open stream. */
  streamReset(stream: S, code: number): void;
  goneAway(lastStreamId: number, code: number): void;
  /** A setting that is no matter of how we send. */
  setting(id: number, value: number): void;
  /** We say GOAWAY, for new streams alone. */
  closing(): void;
}
