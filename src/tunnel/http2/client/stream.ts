import type { ReceiveWindow } from '../../wire/flow-window.ts';
import type { ReadResponse } from '../../wire/http2-response.ts';
import { checkSendable, Http2Stream, type StreamHandler, type StreamHost } from '../stream.ts';

/** Who hears the answer: its head before everything else. */
export interface ResponseHandler extends StreamHandler {
  /** The head of the final response. `ended`: nothing follows, and `end` is told right after. */
  head(response: ReadResponse, ended: boolean): void;
}

/** Names and values of the four pseudo fields of a request (RFC 9113, section 8.3.1). */
const pseudoEntries = 8;

/** A stream that we have opened with a request, and whose response the peer owes us. */
export class ClientStream extends Http2Stream {
  headReceived = false;
  /** Informational responses so far. */
  interimResponses = 0;
  /** No response to HEAD has a body, whatever length it announces. */
  readonly #bodyless: boolean;
  readonly #responses: ResponseHandler;
  /** When the request was gathered, for `sender.holds`. */
  #gatheredAt = -1;

  constructor(
    id: number,
    host: StreamHost,
    receiving: ReceiveWindow,
    method: string,
    handler: ResponseHandler,
  ) {
    super(id, host, receiving, 0, -1);
    this.#bodyless = method === 'HEAD';
    this.#responses = handler;
    this.handler = handler;
  }

  /** HEADERS: the pseudo fields of a request, then the others. With `end`, no body follows. */
  request(fields: readonly string[], end: boolean): void {
    checkSendable(fields, pseudoEntries);
    this.headSent = true;
    this.host.sender.headers(this.sending, 0, fields, end);
    this.#gatheredAt = this.sending.lastFrameEpoch;
  }

  /** Nothing of the request has been given to the socket. */
  get unsent(): boolean {
    return this.host.sender.holds(this.#gatheredAt);
  }

  /** The head of the final response has come; false when a body that it announces cannot follow. */
  respondedTo(response: ReadResponse, ended: boolean): boolean {
    this.headReceived = true;
    const { status, contentLength } = response;
    this.bodyBytesLeft = this.#bodyless || status === 204 || status === 304 ? 0 : contentLength;
    if (ended && this.bodyBytesLeft > 0) return false;
    try {
      this.#responses.head(response, ended);
    } catch (thrown) {
      this.host.handlerThrew(this, thrown);
    }
    return true;
  }
}
