import { connect } from 'node:net';
import { withSharedReads } from '../../src/tunnel/shared-reads.ts';
import type { HeaderField } from '../../src/tunnel/wire/hpack-static.ts';
import { type Exchange, Http2Connection } from '../http2-connection.ts';
import type { Outcome } from './client.ts';

/** The one connection that all clients of a load share. The caller destroys it. */
export function connectHttp2(port: number): Http2Connection {
  const socket = withSharedReads((reads) => connect({ port, host: '127.0.0.1', ...reads }));
  return new Http2Connection(socket, () => {});
}

/**
 * One client of the load generator in HTTP/2: the same request again and again, one at a time. Counts the bytes of an
 * answer and keeps none.
 */
export class Http2Client implements Exchange {
  readonly #connection: Http2Connection;
  readonly #headers: readonly string[];
  readonly #done: (outcome: Outcome) => void;
  #bodyLeft = 0;
  #isGood = false;

  /** `headers`: name, value, … with the pseudo headers first. `done` is called once for every `send`. */
  constructor(connection: Http2Connection, headers: readonly string[], done: (outcome: Outcome) => void) {
    this.#connection = connection;
    this.#headers = headers;
    this.#done = done;
  }

  send(): void {
    this.#bodyLeft = 0;
    this.#isGood = false;
    this.#connection.open(this.#headers, true, this);
  }

  headers(fields: readonly HeaderField[]): void {
    for (const { name, value } of fields) {
      if (name === ':status') this.#isGood = value.startsWith('2');
      else if (name === 'content-length') this.#bodyLeft = Number(value);
    }
  }

  data(piece: Buffer): void {
    this.#bodyLeft -= piece.length;
  }

  ended(): void {
    this.#done(this.#isGood && this.#bodyLeft === 0 ? 'answered' : 'failed');
  }

  failed(): void {
    this.#done('failed');
  }
}
