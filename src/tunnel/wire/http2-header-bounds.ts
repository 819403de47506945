import { HpackEncoder } from './hpack-encoder.ts';
import { fieldOverheadBytes } from './hpack-static.ts';
import { defaultHttp2Limits } from './http2-limits.ts';

/**
 * nghttp2, and so Node.js, refuses a longer name or value as encoded (its `NGHTTP2_HD_MAX_NV`), whatever list it
 * announces, and ends the connection.
 */
const plainFieldBytes = 64 * 1024;
/** A peer that announces more than we and cloudflared do is not of that kind: Go's client announces 10 MiB. */
const largeListBytes = defaultHttp2Limits.maxHeaderListBytes;
/** `:status` and its value (RFC 9113, section 6.5.2); a request, whose pseudo fields are given with it, has none. */
const statusEntryBytes = ':status'.length + 3 + fieldOverheadBytes;

/**
 * Whether a peer takes these (name, value, …) as a head or as trailers, when it has announced MAX_HEADER_LIST_SIZE
 * as `announcedBytes`; null if it has announced none, so that any size is allowed.
 */
export function headersFit(headers: readonly string[], announcedBytes: number | null): boolean {
  let listBytes = statusEntryBytes;
  let longest = 0;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i]!.length;
    const value = headers[i + 1]!.length;
    listBytes += name + value + fieldOverheadBytes;
    longest = Math.max(longest, name, value);
  }
  if (listBytes > (announcedBytes ?? Number.POSITIVE_INFINITY)) return false;
  if (longest <= plainFieldBytes || (announcedBytes ?? 0) > largeListBytes) return true;
  return headers.every((text) => HpackEncoder.stringBytes(text) <= plainFieldBytes);
}
