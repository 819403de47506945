import { unreachable } from '../src/fault.ts';
import { createLog } from '../src/log.ts';
import { type Connector, startConnector } from '../src/tunnel/connector.ts';
import { systemConnectorDeps } from '../src/tunnel/connector-deps.ts';
import type { FromThread, RunId, ThreadTask, ToThread, TunnelFact } from '../src/tunnel/link.ts';

/**
 * What a worker thread runs: messages of the link to connectors and back. Hosts any number of tunnels until the
 * link is closed. What is thrown here ends the thread; the other side hears of that.
 */
export default function hostTunnels({ port, logLevel, accessCertsUrl }: ThreadTask): Promise<void> {
  const log = createLog({ level: logLevel, format: 'json' });
  const deps = systemConnectorDeps(log, accessCertsUrl);
  const connectors = new Map<RunId, Connector>();
  const say = (message: FromThread): void => port.postMessage(message);
  const sayCounts = (run: RunId): void => {
    const counts = connectors.get(run)?.takeCounts() ?? null;
    if (counts !== null) say({ type: 'tunnel.counts', run, counts });
  };
  const hear = (fact: TunnelFact): void => {
    if (fact.type === 'tunnel.ended') {
      sayCounts(fact.run);
      connectors.delete(fact.run);
    }
    say(fact);
  };
  const obey = (message: ToThread): void => {
    switch (message.type) {
      case 'tunnel.start':
        connectors.set(message.spec.run, startConnector(message.spec, deps, hear));
        return;
      case 'tunnel.routes':
        return connectors.get(message.run)?.updateRoutes(message.routes);
      case 'tunnel.stop':
        return connectors.get(message.run)?.stop(message.graceMs);
      case 'thread.ping':
        // No timer of its own for them: a thread that idles pays for each time that it wakes.
        for (const run of connectors.keys()) sayCounts(run);
        return say({ type: 'thread.pong', sequence: message.sequence });
      default:
        return unreachable(message);
    }
  };
  return new Promise((resolve) => {
    port.on('message', obey);
    port.once('close', () => {
      for (const connector of connectors.values()) connector.destroy();
      deps.teams.destroy();
      resolve();
    });
    say({ type: 'thread.ready' });
  });
}
