/**
 * `fetch` for the SDK, which neither bounds an answer nor looks at the envelope's `success`. Reads the whole
 * answer, at most `maxAnswerBytes` of it, and turns a 200 that says `"success": false` into a 400, so that every
 * failure takes the one way of errors.
 */
export async function fetchEnvelope(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const response = await fetch(input, init);
  if (response.body === null) return response;
  const text = await boundedText(response.body);
  const status = response.ok && saysFailed(text) ? 400 : response.status;
  return new Response(text, { status, headers: response.headers });
}

/** Cancels the answer when it is too large, so that its connection is freed. */
async function boundedText(body: ReadableStream<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > maxAnswerBytes) throw new Error(`the answer is larger than ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function saysFailed(text: string): boolean {
  try {
    return (JSON.parse(text) as { success?: unknown } | null)?.success === false;
  } catch {
    return false;
  }
}

/** A page of 100 records has about 60 kB. */
export const maxAnswerBytes = 8 << 20;
