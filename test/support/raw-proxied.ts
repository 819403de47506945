import { systemClock } from '../../src/time/clock.ts';
import { createCounts } from '../../src/tunnel/counts.ts';
import { createProxy } from '../../src/tunnel/proxy.ts';
import { noTeams } from './access-teams.ts';
import { sessionOn, socketPair } from './edge-peer.ts';
import { keptLog } from './kept-log.ts';
import { RawEdge } from './raw-edge.ts';
import { tableTo } from './route-to.ts';
import { type OriginScript, type ScriptedOrigin, scriptOrigin } from './scripted-origin.ts';

/** Session and proxy between an edge that sends any bytes and an origin that does, too. */
export interface RawProxied {
  readonly edge: RawEdge;
  readonly origin: ScriptedOrigin;
  stop(): Promise<void>;
}

export async function rawProxied(script: OriginScript): Promise<RawProxied> {
  const origin = await scriptOrigin(script);
  const proxy = createProxy({
    routes: tableTo([origin.port]),
    connectorId: '11111111-2222-4333-8444-555555555555',
    teams: noTeams,
    clock: systemClock,
    counts: createCounts(),
    log: keptLog().log,
    hearAccess: () => {},
  });
  const { near, far } = await socketPair();
  const { session, ended } = sessionOn(near, (stream, head) => proxy.open(stream, head));
  const edge = new RawEdge(far);
  edge.shakeHands();
  return {
    edge,
    origin,
    async stop() {
      session.destroy();
      await ended;
      proxy.destroy();
      await edge.close();
      await origin.stop();
    },
  };
}
