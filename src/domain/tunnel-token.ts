/**
 * Account and tunnel that a connector token is for (protocol page, section 1.3); null for what is no such token. Says
 * nothing of its secret.
 */
export function tokenClaims(token: string): { readonly accountId: string; readonly tunnelId: string } | null {
  let content: unknown;
  try {
    content = JSON.parse(Buffer.from(token, 'base64').toString('utf8'));
  } catch {
    return null;
  }
  if (typeof content !== 'object' || content === null) return null;
  const { a, t, s } = content as Readonly<Record<string, unknown>>;
  return isText(a) && isText(t) && isText(s) ? { accountId: a, tunnelId: t } : null;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
