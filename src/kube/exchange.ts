import http, { type IncomingMessage } from 'node:http';
import https, { type RequestOptions } from 'node:https';
import { FaultError, fault } from '../fault.ts';

/**
 * Sends one request and resolves with the head of its answer. The abort of `signal` ends the request and, later,
 * the answer's stream, both with the signal's reason. On a kept connection that the server closed in the same
 * moment the request is sent again (RFC 9112, section 9.3.1), so it must be one that may come twice: all of ours
 * may, because a second create is told that the object is there.
 */
export function send(
  options: RequestOptions & { readonly protocol: string },
  body: string | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const request = (options.protocol === 'http:' ? http : https).request(options);
    let response: IncomingMessage | undefined;
    const abort = (): void => {
      const reason = signal.reason instanceof Error ? signal.reason : new Error('aborted');
      (response ?? request).destroy(reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    request.once('close', () => signal.removeEventListener('abort', abort));
    // Stays for the whole life: what happens after the head is told by the answer's stream.
    request.on('error', (error: NodeJS.ErrnoException) => {
      const closedMeanwhile = request.reusedSocket && response === undefined && error.code === 'ECONNRESET';
      if (closedMeanwhile && !signal.aborted) resolve(send(options, body, signal));
      else reject(error);
    });
    request.once('response', (head) => {
      response = head;
      resolve(head);
    });
    request.end(body);
  });
}

/** The whole answer as text; fails with a `FaultError` beyond `maxBytes`, and the connection is given up. */
export async function readText(response: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) {
      throw new FaultError(
        fault('kube-refused', `an answer of the API server is longer than ${maxBytes} bytes`),
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** `work`, or the signal's reason as soon as it is aborted; for work that takes no signal itself. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    // Also where nobody waits for it any more: that it fails must not end the process.
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
