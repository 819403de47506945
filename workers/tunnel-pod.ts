import { randomUUID } from 'node:crypto';
import { type Fault, FaultError } from '../src/fault.ts';
import type { Logger } from '../src/log.ts';
import { type Connector, startConnector } from '../src/tunnel/connector.ts';
import { systemConnectorDeps } from '../src/tunnel/connector-deps.ts';
import type { TunnelCounts, TunnelFact } from '../src/tunnel/link.ts';
import { type PodState, startPodHealth } from './pod-health.ts';
import { podSpec, type TunnelPodSettings } from './pod-spec.ts';

/** Where what the connector counts is added up (`ops/tunnel-metrics`). */
export interface PodMetrics {
  readonly contentType: string;
  counted(counts: TunnelCounts): void;
  connections(registered: number): void;
  text(): Promise<string>;
}

/**
 * One connector with all of its connections in a process of its own, until it is stopped: unregistered everywhere
 * and drained for at most the grace period. Rejects with a `FaultError` when it cannot start with these settings.
 */
export async function runTunnelPod(settings: TunnelPodSettings, metrics: PodMetrics, log: Logger) {
  const connectorId = randomUUID();
  const connected = new Set<number>();
  let connector: Connector | null = null;
  const state = {
    connectorId,
    connected,
    accessProblem: null as string | null,
    edgeProblem: null as PodState['edgeProblem'],
    async metrics() {
      const counts = connector?.takeCounts() ?? null;
      if (counts !== null) metrics.counted(counts);
      metrics.connections(connected.size);
      return { type: metrics.contentType, text: await metrics.text() };
    },
  };
  const health = settings.metrics && (await startPodHealth(settings.metrics, state, log));
  if (health?.ok === false) throw new FaultError(health.fault);
  // While its token is looked for the process lives and is not ready.
  const spec = await podSpec(settings, connectorId).catch(async (thrown: unknown) => {
    await health?.value.close();
    throw thrown;
  });
  const ended = Promise.withResolvers<Fault | null>();
  let stopping = false;

  const hear = (fact: TunnelFact): void => {
    switch (fact.type) {
      case 'connection.registered': {
        const { connIndex, location, edge } = fact;
        if (!stopping) connected.add(connIndex);
        state.edgeProblem = null;
        return log.info({ connIndex, location, edge }, 'tunnel connection registered');
      }
      case 'connection.lost': {
        const { connIndex, retryInMs, fault } = fact;
        connected.delete(connIndex);
        if (connected.size === 0) {
          const attempts = (state.edgeProblem?.attempts ?? 0) + 1;
          state.edgeProblem = { connIndex, fault, attempts };
        }
        const reason = fault.message;
        return log.warn({ connIndex, retryInMs, code: fault.code, reason }, 'tunnel connection lost');
      }
      case 'access.keys': {
        const { problem } = fact;
        state.accessProblem = problem;
        if (problem === null) return log.info('requests with a token are let in again');
        return log.warn({ reason: problem }, 'every request is refused');
      }
      case 'tunnel.ended': {
        const outcome = fact.ending.how === 'failed' ? fact.ending.fault : null;
        connected.clear();
        deps.teams.destroy();
        void Promise.resolve(health?.value.close()).then(() => ended.resolve(outcome));
      }
    }
  };
  const deps = systemConnectorDeps(log, settings.accessCertsUrl);
  connector = startConnector(spec, deps, hear);
  return {
    ended: ended.promise,
    async stop(): Promise<void> {
      stopping = true;
      // Unready at once, so that nobody sends more requests here while the running ones finish.
      connected.clear();
      connector?.stop(settings.graceMs);
      await ended.promise;
    },
  };
}
