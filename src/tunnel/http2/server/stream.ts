import type { EdgeStream } from '../../edge-session.ts';
import { checkSendable, Http2Stream } from '../stream.ts';

/** A stream that the peer has opened with a request, and that we answer. */
export class ServerStream extends Http2Stream implements EdgeStream {
  /** It is what opened the stream. */
  get headReceived(): boolean {
    return true;
  }

  /** A final response was begun. */
  get responded(): boolean {
    return this.headSent;
  }

  respond(status: number, headers: readonly string[], end: boolean): void {
    if (this.closed) return;
    if (this.headSent) throw new Error('a stream was responded to twice');
    checkSendable(headers);
    const informational = status < 200;
    if (informational && end) throw new Error('an informational response ended a stream');
    this.headSent = !informational;
    this.host.sender.headers(this.sending, status, headers, end);
  }
}
