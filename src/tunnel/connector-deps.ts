import { systemClock } from '../time/clock.ts';
import { createAccessTeams } from './access/access-teams.ts';
import type { ConnectorDeps } from './connector.ts';
import { DialGate } from './dial-gate.ts';
import { cloudflareDns, dnsOverTls } from './dns-over-tls.ts';
import { systemResolver, withFallback } from './edge-resolver.ts';
import { EdgeReturn } from './edge-return.ts';
import { Heartbeat } from './heartbeat.ts';

/**
 * What the connectors of one thread or process share in the real world. `accessCertsUrl` as `ThreadTask` has it. The
 * caller owns the teams, and destroys them after the last connector.
 */
export function systemConnectorDeps(log: ConnectorDeps['log'], accessCertsUrl: string | null): ConnectorDeps {
  const tools = { clock: systemClock, random: Math.random, log };
  return {
    ...tools,
    heartbeat: new Heartbeat(systemClock),
    gate: new DialGate(systemClock),
    edgeReturn: new EdgeReturn(systemClock),
    resolver: withFallback(systemResolver, dnsOverTls(cloudflareDns), systemClock),
    teams: createAccessTeams({ ...tools, certsUrl: accessCertsUrl }),
  };
}
