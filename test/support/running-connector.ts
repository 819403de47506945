import { defaultOriginSettings } from '../../src/domain/ingress.ts';
import type { Route, RouteTable } from '../../src/domain/routes.ts';
import { type Connector, startConnector } from '../../src/tunnel/connector.ts';
import { DialGate } from '../../src/tunnel/dial-gate.ts';
import type { EdgeResolver } from '../../src/tunnel/edge-resolver.ts';
import { EdgeReturn } from '../../src/tunnel/edge-return.ts';
import { Heartbeat } from '../../src/tunnel/heartbeat.ts';
import type { ConnectorSpec, TunnelFact } from '../../src/tunnel/link.ts';
import { noTeams } from './access-teams.ts';
import { eventually } from './eventually.ts';
import { keptLog } from './kept-log.ts';
import { ManualClock } from './manual-clock.ts';
import type { ScriptedEdge } from './scripted-edge.ts';

const noResolver: EdgeResolver = {
  services: () => Promise.reject(new Error('no DNS in this test')),
  addresses: () => Promise.reject(new Error('no DNS in this test')),
};

/** Answers every request itself, with 503, except `/hold…`, which goes to an origin if one is given. */
export function routesTo(originPort: number | null): RouteTable {
  const routes: Route[] = [{ path: '/', match: 'prefix', target: { kind: 'status', status: 503 } }];
  if (originPort !== null) {
    const addresses = [{ host: '127.0.0.1', port: originPort }];
    const origin = { addresses, settings: defaultOriginSettings, ca: null };
    routes.unshift({ path: '/hold', match: 'prefix', target: { kind: 'origin', origin } });
  }
  return { host: 'app.example.com', routes, access: null };
}

/** A spec for a scripted edge, whose address is given as often as there are connections. */
export function specFor(edge: ScriptedEdge, overrides: Partial<ConnectorSpec> = {}): ConnectorSpec {
  const connections = overrides.connections ?? [0];
  return {
    run: 'run-1',
    host: 'app.example.com',
    credentials: {
      accountTag: 'account',
      tunnelId: '11111111-2222-4333-8444-555555555555',
      tunnelSecret: Buffer.alloc(32, 9).toString('base64'),
    },
    connectorId: 'b7f6b2d3-27a2-4dd3-a69b-5c97600d79d1',
    connections,
    urgent: true,
    edge: { addresses: connections.map(() => edge.address), ca: edge.ca, region: '' },
    routes: routesTo(null),
    ...overrides,
  };
}

/** A connector on a clock that the test moves, with everything it told. */
export class RunningConnector {
  readonly clock = new ManualClock();
  readonly facts: TunnelFact[] = [];
  readonly logged: readonly Record<string, unknown>[];
  readonly connector: Connector;

  constructor(spec: ConnectorSpec, random: () => number = () => 0.5, resolver: EdgeResolver = noResolver) {
    const { log, lines } = keptLog();
    this.logged = lines;
    this.connector = startConnector(
      spec,
      {
        clock: this.clock,
        heartbeat: new Heartbeat(this.clock),
        gate: new DialGate(this.clock),
        edgeReturn: new EdgeReturn(this.clock),
        random,
        resolver,
        teams: noTeams,
        log,
      },
      (fact) => this.facts.push(fact),
    );
  }

  factsOf<T extends TunnelFact['type']>(type: T): Extract<TunnelFact, { type: T }>[] {
    return this.facts.filter((fact): fact is Extract<TunnelFact, { type: T }> => fact.type === type);
  }

  /** Waits until so many registrations were told in all. */
  async registrations(count: number): Promise<void> {
    await eventually(`${count} registrations`, () => this.factsOf('connection.registered').length >= count);
  }

  async losses(count: number): Promise<void> {
    await eventually(`${count} losses`, () => this.factsOf('connection.lost').length >= count);
  }

  async ended(): Promise<void> {
    await eventually('ended', () => this.factsOf('tunnel.ended').length > 0);
  }
}
