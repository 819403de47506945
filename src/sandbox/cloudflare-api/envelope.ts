/** Cloudflare's v4 envelope. `messages` stays empty: cloudflared decodes it as a list of strings. */

export interface ApiRequest {
  readonly method: string;
  /** Decoded path elements behind the API base. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  /** Parsed JSON; undefined when there was no body. */
  readonly body: unknown;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: {
    readonly success: boolean;
    readonly errors: readonly ApiError[];
    readonly messages: readonly string[];
    readonly result: unknown;
    readonly result_info?: PageInfo;
  };
}

export interface ApiError {
  readonly code: number;
  readonly message: string;
  readonly error_chain?: readonly ApiError[];
}

interface PageInfo {
  readonly page: number;
  readonly per_page: number;
  readonly count: number;
  readonly total_count: number;
  readonly total_pages: number;
}

export function success(result: unknown, info?: PageInfo): Answer {
  const body = { success: true, errors: [], messages: [], result };
  return { status: 200, body: info ? { ...body, result_info: info } : body };
}

export function refusal(
  status: number,
  code: number,
  message: string,
  chain: readonly ApiError[] = [],
  headers: Readonly<Record<string, string>> = {},
): Answer {
  const error: ApiError = chain.length > 0 ? { code, message, error_chain: chain } : { code, message };
  return { status, headers, body: { success: false, errors: [error], messages: [], result: null } };
}

/** One page of a list, as `page` and `per_page` ask for it. */
export function page(
  items: readonly unknown[],
  query: URLSearchParams,
  limits: { readonly perPage: number; readonly maxPerPage: number },
): Answer {
  const number = positive(query.get('page')) ?? 1;
  const perPage = Math.min(positive(query.get('per_page')) ?? limits.perPage, limits.maxPerPage);
  const slice = items.slice((number - 1) * perPage, number * perPage);
  return success(slice, {
    page: number,
    per_page: perPage,
    count: slice.length,
    total_count: items.length,
    total_pages: Math.ceil(items.length / perPage),
  });
}

/** The body as an object, or null when it is none. */
export function objectOf(body: unknown): Readonly<Record<string, unknown>> | null {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return null;
  return body as Record<string, unknown>;
}

export function noRoute(request: ApiRequest): Answer {
  return refusal(404, 7000, `No route for that URI: ${request.method} /${request.path.join('/')}`);
}

export function unroutable(request: ApiRequest): Answer {
  const uri = `/${request.path.join('/')}`;
  return refusal(404, 7003, `Could not route to ${uri}, perhaps your object identifier is invalid?`);
}

function positive(text: string | null): number | null {
  const number = Number(text);
  return text !== null && Number.isInteger(number) && number > 0 ? number : null;
}
