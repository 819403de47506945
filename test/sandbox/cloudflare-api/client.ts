import type { CloudflareApi } from '../../../src/sandbox/cloudflare-api/server.ts';

// biome-ignore lint/suspicious/noExplicitAny: what came, whatever it is; the test looks into it
type Anything = any;

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly result: Anything;
  readonly info: Anything;
  readonly codes: readonly number[];
  readonly envelope: Anything;
}

/** One plain call with the API's token (or another one; null sends no authorization). */
export async function ask(
  api: CloudflareApi,
  method: string,
  path: string,
  body?: unknown,
  token: string | null = api.token,
): Promise<Reply> {
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  if (body !== undefined) headers['content-type'] = 'application/json';
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(api.url + path, {
    method,
    headers,
    ...(body !== undefined && { body: text }),
  });
  const envelope = JSON.parse(await response.text());
  return {
    status: response.status,
    headers: response.headers,
    result: envelope.result,
    info: envelope.result_info,
    codes: envelope.errors.map((error: { code: number }) => error.code),
    envelope,
  };
}
