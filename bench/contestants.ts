import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultOriginSettings } from '../src/domain/ingress.ts';
import type { TunnelIdentity } from '../src/domain/ledger.ts';
import type { RouteTable } from '../src/domain/routes.ts';
import { routesToText } from '../src/domain/routes-text.ts';

const accountId = '0123456789abcdef0123456789abcdef';

/** Who is measured beside `direct`, where the load generator meets the origin itself. */
export type Connector = OurConnector | { readonly kind: 'cloudflared'; readonly program: string };

export interface OurConnector {
  readonly kind: 'ours';
  readonly name: string;
  /** The folder that a build has put `src/` and `bench/` into. */
  readonly build: string;
}

/** The build that this bench is a part of. */
export const ownBuild = fileURLToPath(new URL('..', import.meta.url));

export function nameOf(connector: Connector): string {
  return connector.kind === 'ours' ? connector.name : connector.kind;
}

/** Told to both: by itself ours asks for a certificate of the visited host, cloudflared for one of the address. */
export const originName = 'origin.example.com';

/** Where the origin is, and what it speaks. */
export interface OriginAddress {
  readonly originPort: number;
  /** PEM of the root that vouches for `originName`, which speaks HTTP/2 over TLS; null: HTTP/1.1 without. */
  readonly originCa: string | null;
}

/** What a connector is told; both get the same. */
export interface ConnectorWorld extends OriginAddress {
  /** Folder for the files of this one connector. */
  readonly folder: string;
  /** PEM of the edge's root. */
  readonly ca: string;
  readonly tunnelPort: number;
  readonly haConnections: number;
  readonly tunnelId: string;
}

/** The host of a tunnel's requests: the bench's edge finds the tunnel by the first label. */
export function hostOf(tunnelId: string): string {
  return `${tunnelId}.example.com`;
}

/** All that a tunnel is asked goes to the one origin. */
export function routesOf({ tunnelId, originPort, originCa }: ConnectorWorld): RouteTable {
  const settings =
    originCa === null
      ? defaultOriginSettings
      : ({ ...defaultOriginSettings, protocol: 'https', http2: true, serverName: originName } as const);
  const origin = { addresses: [{ host: '127.0.0.1', port: originPort }], settings, ca: originCa };
  const route = { path: '/', match: 'prefix', target: { kind: 'origin', origin } } as const;
  return { host: hostOf(tunnelId), routes: [route], access: null };
}

/** Writes the files that a connector needs and gives its command line. */
export function ours(build: string, world: ConnectorWorld, profileFolder: string | null): readonly string[] {
  const { tokenFile, caFile } = writeFiles(world);
  const profile = profileFolder === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`];
  return [
    process.execPath,
    ...profile,
    join(build, 'src', 'main.js'),
    'tunnel',
    ...['--hostname', hostOf(world.tunnelId)],
    ...['--routes', routesToText(routesOf(world))],
    ...['--token-file', tokenFile],
    ...['--cacert', caFile],
    ...['--ha-connections', String(world.haConnections)],
    ...edges(world),
    ...['--log-level', 'warn'],
  ];
}

/** As in protocol page section 4.2: nothing is looked up, nothing is updated. */
export function cloudflared(program: string, world: ConnectorWorld): readonly string[] {
  const { tokenFile, caFile } = writeFiles(world);
  return [
    ...['env', `HOME=${world.folder}`, program, 'tunnel', '--no-autoupdate', '--no-prechecks'],
    ...edges(world),
    ...['--cacert', caFile, '--protocol', 'http2', '--metrics', '127.0.0.1:0', '--loglevel', 'error'],
    ...['--ha-connections', String(world.haConnections)],
    ...['run', '--token-file', tokenFile],
    ...cloudflaredOrigin(world),
  ];
}

function cloudflaredOrigin({ folder, originPort, originCa }: ConnectorWorld): readonly string[] {
  const address = `127.0.0.1:${originPort}`;
  if (originCa === null) return ['--url', `http://${address}`];
  const caFile = join(folder, 'origin-ca.pem');
  writeFileSync(caFile, originCa);
  const trust = ['--origin-ca-pool', caFile, '--origin-server-name', originName];
  return ['--url', `https://${address}`, '--http2-origin', ...trust];
}

/** One address per connection and two at least: with a single one cloudflared dials in a tight loop. */
function edges({ tunnelPort, haConnections }: ConnectorWorld): string[] {
  return Array.from({ length: Math.max(2, haConnections) }, () => [
    '--edge',
    `127.0.0.1:${tunnelPort}`,
  ]).flat();
}

function writeFiles({ folder, ca, tunnelId }: ConnectorWorld): { tokenFile: string; caFile: string } {
  mkdirSync(folder, { recursive: true });
  const tokenFile = join(folder, 'token');
  const caFile = join(folder, 'ca.pem');
  writeFileSync(tokenFile, identityOf(tunnelId).token, { mode: 0o600 });
  writeFileSync(caFile, ca);
  return { tokenFile, caFile };
}

/** A tunnel of an account, with a secret of its own. */
export function identityOf(tunnelId: string): TunnelIdentity {
  const secret = randomBytes(32).toString('base64');
  const token = Buffer.from(JSON.stringify({ a: accountId, t: tunnelId, s: secret })).toString('base64');
  return { accountId, id: tunnelId, token };
}
