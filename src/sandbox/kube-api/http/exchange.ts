import type { IncomingMessage, ServerResponse } from 'node:http';
import { dump } from 'js-yaml';
import type { Json } from '../json.ts';
import { negotiate, type Presentation } from './negotiate.ts';

/** Warnings that one answer carries at most. */
const maxWarnings = 50;

/** One request and its answer. The handler of the request answers exactly once. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
  readonly #warnings: string[] = [];

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.response = response;
    const [path = '', ...query] = (request.url ?? '/').split('?');
    this.segments = path
      .split('/')
      .filter((segment) => segment !== '')
      .map(decodeSegment);
    this.query = new URLSearchParams(query.join('?'));
  }

  get method(): string {
    return this.request.method ?? 'GET';
  }

  get path(): string {
    return `/${this.segments.join('/')}`;
  }

  presentation(): Presentation {
    return negotiate(this.request.headers.accept);
  }

  /** Shown by kubectl as `Warning: …`. */
  readonly warn = (text: string): void => {
    if (this.#warnings.length < maxWarnings) this.#warnings.push(text);
  };

  answer(code: number, body: Json, encoding: Presentation['encoding'] = 'json', contentType?: string): void {
    const text = encoding === 'yaml' ? dump(body) : `${JSON.stringify(body)}\n`;
    this.send(code, contentType ?? `application/${encoding}`, text);
  }

  send(
    code: number,
    contentType: string,
    text: string,
    headers: { readonly [name: string]: string } = {},
  ): void {
    if (this.response.headersSent || this.response.destroyed) return;
    for (const warning of this.#warnings) {
      this.response.appendHeader('warning', `299 - ${JSON.stringify(warning)}`);
    }
    this.response.writeHead(code, {
      'cache-control': 'no-cache, private',
      'content-type': contentType,
      'content-length': Buffer.byteLength(text),
      ...headers,
    });
    this.response.end(text);
  }
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
