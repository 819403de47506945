import { readFile } from 'node:fs/promises';
import { FaultError, fault, unreachable } from '../src/fault.ts';
import { readEdgeRoots } from '../src/tunnel/edge-roots.ts';
import type { ConnectorSpec } from '../src/tunnel/link.ts';
import { parseTunnelToken } from '../src/tunnel/token.ts';

export interface TunnelPodSettings {
  /** From where the tunnel's credentials come; `token` is a secret. */
  readonly source:
    | { readonly from: 'token'; readonly token: string }
    | { readonly from: 'token-file'; readonly path: string }
    /** Wherever else, which may take long; rejects with a `FaultError`. */
    | { readonly from: 'search'; find(): Promise<string> };
  readonly routes: ConnectorSpec['routes'];
  /** `host:port`; empty means discovery. */
  readonly edge: readonly string[];
  /** Path of a PEM bundle that replaces all roots. */
  readonly cacert: string | null;
  readonly haConnections: number;
  readonly graceMs: number;
  /** As `ThreadTask` has it. */
  readonly accessCertsUrl: string | null;
  /** Where `/healthz`, `/ready` and `/metrics` are served; null is nowhere. */
  readonly metrics: { readonly host: string; readonly port: number } | null;
}

/** One tunnel with all of its connections. Reads the files that the settings name; rejects with a `FaultError`. */
export async function podSpec(settings: TunnelPodSettings, connectorId: string): Promise<ConnectorSpec> {
  const { source, cacert, haConnections, routes } = settings;
  const ca = cacert === null ? null : await readEdgeRoots(cacert);
  if (ca?.ok === false) throw new FaultError(ca.fault);
  const token = parseTunnelToken(await tokenText(source));
  if (!token.ok)
    throw source.from === 'search' ? new FaultError(token.fault) : refused(source.from, token.fault.message);
  const { credentials, region } = token.value;
  return {
    run: 'pod',
    host: routes.host,
    credentials,
    connectorId,
    connections: Array.from({ length: haConnections }, (_, index) => index),
    urgent: true,
    edge: {
      addresses: settings.edge,
      ca: ca === null ? null : ca.value,
      region,
    },
    routes,
  };
}

async function tokenText(source: TunnelPodSettings['source']): Promise<string> {
  switch (source.from) {
    case 'token':
      return source.token;
    case 'token-file':
      return fileText(source.path);
    case 'search':
      return source.find();
    default:
      return unreachable(source);
  }
}

async function fileText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw refused('token-file', `cannot be read: ${(error as Error).message}`);
  }
}

const settings = { 'token-file': '--token-file (TUNNEL_TOKEN_FILE)', token: 'TUNNEL_TOKEN' } as const;

function refused(from: keyof typeof settings, what: string): FaultError {
  return new FaultError(fault('config-invalid', `${settings[from]}: ${what}`));
}
