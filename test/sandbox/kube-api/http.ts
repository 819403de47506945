import { request } from 'node:https';
import type { KubeApi } from '../../../src/sandbox/kube-api/kube-api.ts';

export interface Answer {
  readonly status: number;
  readonly headers: { readonly [name: string]: string | string[] | undefined };
  // The body is whatever the protocol says; tests reach into it.
  // biome-ignore lint/suspicious/noExplicitAny: parsed JSON
  readonly body: any;
}

export interface Ask {
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: { readonly [name: string]: string };
  readonly token?: string | null;
}

/** One raw request to the server under test. */
export function ask(api: KubeApi, path: string, options: Ask = {}): Promise<Answer> {
  const { method = 'GET', body, headers = {}, token = api.token } = options;
  const text = typeof body === 'string' ? body : body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const sent = request(
      `${api.url}${path}`,
      {
        method,
        ca: api.ca,
        agent: false,
        headers: {
          ...(token !== null && { authorization: `Bearer ${token}` }),
          ...(text !== undefined && {
            'content-type': 'application/json',
            'content-length': String(Buffer.byteLength(text)),
          }),
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const received = Buffer.concat(chunks).toString();
          const isJson = response.headers['content-type']?.startsWith('application/json');
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: isJson ? JSON.parse(received) : received,
          });
        });
      },
    );
    sent.on('error', reject);
    sent.end(text);
  });
}

// biome-ignore lint/suspicious/noExplicitAny: parsed JSON
export type WatchLine = { readonly type: string; readonly object: any };

export interface OpenWatch {
  readonly status: number;
  /** The next event; null when the stream ended. */
  next(): Promise<WatchLine | null>;
  close(): void;
}

/** Opens a watch and reads it line by line. The caller closes it. */
export function openWatch(
  api: KubeApi,
  path: string,
  headers: { readonly [name: string]: string } = {},
): Promise<OpenWatch> {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${api.url}${path}`,
      { ca: api.ca, agent: false, headers: { authorization: `Bearer ${api.token}`, ...headers } },
      (response) => {
        const lines = readLines(response);
        resolve({
          status: response.statusCode ?? 0,
          next: async () => {
            const { value, done } = await lines.next();
            return done ? null : (JSON.parse(value) as WatchLine);
          },
          close: () => sent.destroy(),
        });
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}

async function* readLines(stream: AsyncIterable<Buffer>): AsyncGenerator<string, void> {
  let rest = '';
  try {
    for await (const chunk of stream) {
      rest += chunk.toString();
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch {
    // A cut connection ends the stream as well.
  }
}
