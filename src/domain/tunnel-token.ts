/** The fields in a connector token (protocol page, section 1.3), whatever they are; null for what holds no JSON object. */
export function tokenFields(token: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64').toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** Account and tunnel that a token is for; null for what is none. Says nothing of its secret. */
export function tokenClaims(token: string): { readonly accountId: string; readonly tunnelId: string } | null {
  const { a, t, s } = tokenFields(token) ?? {};
  return isText(a) && isText(t) && isText(s) ? { accountId: a, tunnelId: t } : null;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
