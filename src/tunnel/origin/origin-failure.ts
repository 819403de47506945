import type { OriginErrorReason } from '../link.ts';

/** Why an origin could not be reached or did not answer: counted by reason, logged with its message. */
export interface OriginFailure {
  readonly reason: OriginErrorReason;
  /** One sentence or the system's code, with the address that could not be reached; holds nothing of request or response. */
  readonly message: string;
  /** The origin says, or it is known, that it has done nothing about the request: any may be sent again. */
  readonly unprocessed?: Unprocessed;
}

/**
 * How a request came to be left alone. `refused`: this one stream was. `ended`: the connection ended before it carried
 * anything. `cut-off`: the connection carried others and ended before it came to this one. `http1`: the origin wants it
 * over HTTP/1.1 (RFC 9113, section 7).
 */
export type Unprocessed = 'refused' | 'ended' | 'cut-off' | 'http1';

const reasons: Readonly<Record<string, OriginErrorReason>> = {
  ECONNREFUSED: 'refused',
  ETIMEDOUT: 'timeout',
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  EAI_FAIL: 'dns',
  EAI_NODATA: 'dns',
  EAI_NONAME: 'dns',
  ECONNRESET: 'reset',
  ECONNABORTED: 'reset',
  EPIPE: 'reset',
  EMFILE: 'limit',
  ENFILE: 'limit',
  ENOBUFS: 'limit',
  EADDRNOTAVAIL: 'limit',
};

/** The failure in a socket's error: by its code alone, never by its text. */
export function failureOf(error: Error): OriginFailure {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const known = reasons[code];
  if (known !== undefined) return { reason: known, message: code };
  // OpenSSL's and Node's own codes for handshakes and certificates; there are some forty.
  const tls =
    /^(ERR_SSL_|ERR_TLS_|ERR_OSSL_|EPROTO|CERT_|CRL_|DEPTH_ZERO_|ERROR_IN_|HOSTNAME_|INVALID_|PATH_LENGTH_|SELF_SIGNED_|UNABLE_TO_)/.test(
      code,
    );
  return { reason: tls ? 'tls' : 'other', message: code === '' ? error.message : code };
}

export const closedEarly: OriginFailure = {
  reason: 'reset',
  message: 'the origin closed the connection before its response was complete',
};

export const responseHeadTooLarge: OriginFailure = {
  reason: 'limit',
  message: 'the response head is larger than the edge takes',
};
export const responseTrailersTooLarge: OriginFailure = {
  reason: 'limit',
  message: 'the response trailers are larger than the edge takes',
};
export const bodyTooLarge: OriginFailure = {
  reason: 'limit',
  message: 'a body without a length is larger than is collected for an origin that takes no chunks',
};
export const bodiesTooLarge: OriginFailure = {
  reason: 'limit',
  message: 'the bodies that are collected for an origin that takes no chunks are too large together',
};
