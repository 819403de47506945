/** HTTP/2 error codes (RFC 9113, section 7). */
export const http2Error = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const;

/**
 * The peer broke a rule in a way that ends the whole connection (RFC 9113, section 5.4.1). The only thing that
 * the decoders of this folder throw; the session answers it with GOAWAY.
 */
export class Http2ConnectionError extends Error {
  override readonly name = 'Http2ConnectionError';
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export function broken(what: string): Http2ConnectionError {
  return new Http2ConnectionError(http2Error.protocolError, what);
}

export function wrongSize(what: string, bytes: number, expected: string): Http2ConnectionError {
  return new Http2ConnectionError(
    http2Error.frameSizeError,
    `${what} of ${bytes} bytes, expected ${expected}`,
  );
}

export function flooded(what: string): Http2ConnectionError {
  return new Http2ConnectionError(http2Error.enhanceYourCalm, `too many ${what}`);
}
