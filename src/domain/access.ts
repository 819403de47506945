/** Who may come in: requests with a token that this team's Access issued for one of these applications. */
export interface AccessPolicy {
  /** The team's name, a DNS label: its keys and its issuer are at `<team>.cloudflareaccess.com`. */
  readonly team: string;
  /** Application audience tags, at least one. */
  readonly audience: readonly string[];
}

const accessDomain = '.cloudflareaccess.com';
const dnsLabel = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * `acme` and `acme.cloudflareaccess.com` are the team `acme`. Null for everything else: keys are asked for at a
 * host of that name, so nothing but one label may be put in front of the domain.
 */
export function accessTeamName(text: string): string | null {
  const name = text.endsWith(accessDomain) ? text.slice(0, -accessDomain.length) : text;
  return dnsLabel.test(name) ? name : null;
}

/** What the team's tokens say in `iss`. */
export function accessIssuer(team: string): string {
  return `https://${team}${accessDomain}`;
}
