import type { RouteTable } from '../domain/routes.ts';
import type { Logger } from '../log.ts';
import type { Clock, Timer } from '../time/clock.ts';
import type { AccessTeams } from './access/access-teams.ts';
import { clientInfo } from './client-info.ts';
import { ConnectionSlot, type SlotHost } from './connection-slot.ts';
import { createCounts } from './counts.ts';
import type { DialGate } from './dial-gate.ts';
import { EdgeConnection } from './edge-connection.ts';
import { EdgeDirectory } from './edge-directory.ts';
import type { EdgeResolver } from './edge-resolver.ts';
import type { EdgeReturn } from './edge-return.ts';
import type { Heartbeat } from './heartbeat.ts';
import { createEdgeSession } from './http2/server/session.ts';
import type { ConnectorSpec, TunnelCounts, TunnelEnding, TunnelFact } from './link.ts';
import { localConfiguration } from './local-configuration.ts';
import { createProxy } from './proxy.ts';

/** Between the starts of the connections after the first, milliseconds (cloudflared: 1 s). */
export const startSpacingMs = 100;

export interface ConnectorDeps {
  readonly clock: Clock;
  /** One for all connectors of the thread, on the same clock. */
  readonly heartbeat: Heartbeat;
  /** As the heartbeat. */
  readonly gate: DialGate;
  /** As the heartbeat. */
  readonly edgeReturn: EdgeReturn;
  readonly random: () => number;
  readonly log: Pick<Logger, 'debug' | 'warn' | 'error'>;
  readonly resolver: EdgeResolver;
  readonly teams: AccessTeams;
}

/** One running connector. After `tunnel.ended` every method is a no-op. */
export interface Connector {
  /** For new requests; running ones finish on the old routes. */
  updateRoutes(routes: RouteTable): void;
  /**
   * Unregisters everywhere, serves what is running for at most `graceMs`, then ends; with 0 it ends at once and
   * unregisters nothing. A second call can only shorten the wait.
   */
  stop(graceMs: number): void;
  /** Ends now: `tunnel.ended` follows before this returns. */
  destroy(): void;
  /** What was counted since the last call; null when nothing was. */
  takeCounts(): TunnelCounts | null;
}

/**
 * Starts the spec's connections: the first must register before the others start; each is then tried for ever,
 * on its own. Facts are told through `hear`; the last one is `tunnel.ended`, exactly once. The connector owns
 * its connections, timers and proxy until then. It never gives up by itself.
 */
export function startConnector(
  spec: ConnectorSpec,
  deps: ConnectorDeps,
  hear: (fact: TunnelFact) => void,
): Connector {
  const { run, connectorId } = spec;
  const { clock, heartbeat, gate, edgeReturn, random, log, teams } = deps;
  const secret = Buffer.from(spec.credentials.tunnelSecret, 'base64');
  const directory = new EdgeDirectory(spec.edge, deps);
  const counts = createCounts();
  const proxy = createProxy({
    ...{ routes: spec.routes, connectorId, teams, clock, counts, log },
    hearAccess: (problem) => hear({ type: 'access.keys', run, problem }),
  });
  const timers = new Set<Timer>();
  const registered = new Set<number>();
  let routes = spec.routes;
  let othersStarted = false;
  let stopsAtMs = Number.POSITIVE_INFINITY;
  let ended = false;

  const host: SlotHost = {
    clock,
    random,
    edgeReturn,
    turn: (go) => gate.enter(registered.size + (spec.urgent ? 0 : 1), go),
    address: (connIndex) => directory.addressOf(connIndex),
    rotate: (connIndex, unreachable) => directory.rotate(connIndex, unreachable),
    open: (address, previousAttempts, connIndex, events) =>
      new EdgeConnection(
        {
          address,
          ca: spec.edge.ca,
          clock,
          heartbeat,
          registration: {
            accountTag: spec.credentials.accountTag,
            tunnelSecret: secret,
            tunnelId: spec.credentials.tunnelId,
            connIndex,
            client: clientInfo(spec.connectorId),
            replaceExisting: false,
            compressionQuality: 0,
            numPreviousAttempts: Math.min(255, previousAttempts),
          },
          createSession: createEdgeSession,
          open: (stream, head) => proxy.open(stream, head),
          handlerThrew: (thrown) => log.error({ host: spec.host, err: thrown }, 'request ended by a bug'),
          localConfiguration: () => (connIndex === 0 ? localConfiguration(routes) : null),
        },
        events,
      ),
    registered: (connIndex, location, { ip, port }) => {
      registered.add(connIndex);
      hear({ type: 'connection.registered', run, connIndex, location, edge: `${ip}:${port}` });
      startOthers();
    },
    lost: (connIndex, fault, retryInMs) => {
      registered.delete(connIndex);
      hear({ type: 'connection.lost', run, connIndex, fault, retryInMs });
    },
    configurationRefused: (connIndex, { code, message }) =>
      log.warn({ host: spec.host, connIndex, code, detail: message }, 'configuration refused'),
    ended: (slot) => {
      open.delete(slot);
      if (open.size === 0) end({ how: 'stopped' });
    },
  };
  const slots = spec.connections.map((connIndex) => new ConnectionSlot(connIndex, host));
  const open = new Set(slots);
  const [first, ...others] = slots;
  first?.start();

  return {
    updateRoutes(next) {
      if (ended) return;
      routes = next;
      proxy.updateRoutes(next);
    },
    stop(graceMs) {
      if (ended) return;
      if (graceMs <= 0) return destroy();
      const untilMs = clock.monotonic() + graceMs;
      if (untilMs >= stopsAtMs) return;
      stopsAtMs = untilMs;
      cancelTimers();
      after(graceMs, destroy);
      for (const slot of slots) slot.drain();
    },
    destroy,
    takeCounts: counts.take,
  };

  function startOthers(): void {
    if (othersStarted) return;
    othersStarted = true;
    for (const [index, slot] of others.entries()) after(index * startSpacingMs, () => slot.start());
  }

  function destroy(): void {
    if (ended) return;
    cancelTimers();
    for (const slot of slots) slot.destroy();
    end({ how: 'stopped' });
  }

  function end(ending: TunnelEnding): void {
    if (ended) return;
    ended = true;
    cancelTimers();
    directory.destroy();
    proxy.destroy();
    hear({ type: 'tunnel.ended', run, ending });
  }

  function after(delayMs: number, act: () => void): void {
    const timer = clock.after(delayMs, () => {
      timers.delete(timer);
      act();
    });
    timers.add(timer);
  }

  function cancelTimers(): void {
    for (const timer of timers) timer.cancel();
    timers.clear();
  }
}
