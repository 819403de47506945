import type { OriginSettings } from '../../src/domain/ingress.ts';
import type { RouteTable } from '../../src/domain/routes.ts';
import { type Clock, systemClock } from '../../src/time/clock.ts';
import type { AccessTeams } from '../../src/tunnel/access/access-teams.ts';
import { type Counts, createCounts } from '../../src/tunnel/counts.ts';
import type { TunnelCounts } from '../../src/tunnel/link.ts';
import { createProxy, type TunnelProxy } from '../../src/tunnel/proxy.ts';
import { noTeams } from './access-teams.ts';
import { type EdgeLink, linkToEdge } from './edge-link.ts';
import { keptLog } from './kept-log.ts';
import { tableTo } from './route-to.ts';
import { type OriginScript, type ScriptedOrigin, scriptOrigin } from './scripted-origin.ts';

/** A proxy between a scripted edge and scripted origins, all over loopback. */
export interface Proxied extends EdgeLink {
  readonly proxy: TunnelProxy;
  readonly origin: ScriptedOrigin;
  readonly logged: readonly Record<string, unknown>[];
  counted(): TunnelCounts | null;
  stop(): Promise<void>;
}

export const connectorId = '11111111-2222-4333-8444-555555555555';

export interface ProxiedOptions {
  readonly settings?: Partial<OriginSettings>;
  readonly clock?: Clock;
  /** Instead of a table whose every path goes to the scripted origin. */
  readonly routes?: (port: number) => RouteTable;
  readonly teams?: AccessTeams;
}

export async function proxied(script: OriginScript, options: ProxiedOptions = {}): Promise<Proxied> {
  const clock = options.clock ?? systemClock;
  const origin = await scriptOrigin(script);
  const routes = options.routes?.(origin.port) ?? tableTo([origin.port], options.settings);
  const counts: Counts = createCounts();
  const { log, lines } = keptLog();
  const proxy = createProxy({
    routes,
    connectorId,
    teams: options.teams ?? noTeams,
    clock,
    counts,
    log,
    hearAccess: () => {},
  });
  const link = await linkToEdge(proxy);
  return {
    ...link,
    proxy,
    origin,
    logged: lines,
    counted: () => counts.take(),
    async stop() {
      link.close();
      proxy.destroy();
      await origin.stop();
    },
  };
}
