import { Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

export interface EyeballAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: string;
  readonly trailers: NodeJS.Dict<string>;
}

export interface EyeballRequest {
  readonly host: string;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Readable;
}

/** Visits a front door as a browser would, under the name `host`, on a connection of its own. */
export async function visit(frontUrl: string, eyeball: EyeballRequest): Promise<EyeballAnswer> {
  const response = await begin(frontUrl, eyeball);
  const body = (await buffer(response)).toString('utf8');
  const { statusCode = 0, headers, rawHeaders, trailers } = response;
  return { status: statusCode, headers, rawHeaders, body, trailers };
}

/** The same, up to the head of the answer; the body is the caller's. */
export function begin(frontUrl: string, eyeball: EyeballRequest) {
  const { host, method = 'GET', path = '/', headers = {}, body } = eyeball;
  const agent = new Agent({ keepAlive: false });
  const { hostname, port } = new URL(frontUrl);
  const sent = request({ hostname, port, path, method, agent, headers: { host, ...headers } });
  const response = new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve).once('error', reject);
  });
  if (body === undefined || typeof body === 'string') sent.end(body);
  else body.pipe(sent);
  return response;
}
