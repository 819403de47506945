import type { Route, RouteTable } from '../domain/routes.ts';

/** JSON for updateLocalConfiguration (protocol page section 7.3): what the dashboard shows of our routes. */
export function localConfiguration(table: RouteTable): string {
  const { access } = table;
  const originRequest =
    access === null ? {} : { access: { required: true, teamName: access.team, audTag: access.audience } };
  const rules = table.routes.map((route) => ({
    hostname: table.host,
    path: pathExpression(route),
    service: serviceOf(route),
    originRequest,
  }));
  return JSON.stringify({
    ingress: [...rules, { service: 'http_status:404', originRequest: {} }],
    'warp-routing': {},
  });
}

/** cloudflared's paths are unanchored regular expressions; ours match by path element. */
function pathExpression({ path, match }: Route): string {
  const literal = (match === 'prefix' ? path.replace(/\/$/, '') : path).replace(
    /[.*+?^${}()|[\]\\]/g,
    '\\$&',
  );
  return match === 'prefix' ? `^${literal}(/|$)` : `^${literal}$`;
}

function serviceOf({ target }: Route): string {
  if (target.kind === 'status') return `http_status:${target.status}`;
  const { addresses, settings } = target.origin;
  const [first] = addresses;
  if (first === undefined) return 'http_status:503';
  const host = first.host.includes(':') ? `[${first.host}]` : first.host;
  const scheme = settings.protocol === 'h2c' ? 'http' : settings.protocol;
  return `${scheme}://${host}:${first.port}`;
}
