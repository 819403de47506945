/** Access answers with some kilobytes. */
export const maxCertsBytes = 256 * 1_024;

export type FetchedCerts = { readonly text: string } | { readonly problem: string };

/** The text of a certs endpoint. Never rejects; `signal` ends it, at any point. */
export async function fetchCerts(url: string, signal: AbortSignal): Promise<FetchedCerts> {
  try {
    // Keys come from the host that was named, not from one that it names.
    const response = await fetch(url, { redirect: 'error', signal });
    if (response.status !== 200) {
      await response.body?.cancel();
      return { problem: `HTTP status ${response.status}, expected 200` };
    }
    return await bodyText(response);
  } catch (thrown) {
    return { problem: signal.aborted ? String(signal.reason) : reasonOf(thrown) };
  }
}

async function bodyText({ body }: Response): Promise<FetchedCerts> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    // Leaving the loop cancels the rest.
    if (bytes > maxCertsBytes) return { problem: `more than ${maxCertsBytes} bytes` };
    chunks.push(chunk);
  }
  return { text: Buffer.concat(chunks).toString('utf8') };
}

/** `fetch` says "fetch failed" and keeps what happened in the cause. */
function reasonOf(thrown: unknown): string {
  const cause = thrown instanceof Error ? (thrown.cause ?? thrown) : thrown;
  return cause instanceof Error ? cause.message : String(cause);
}
