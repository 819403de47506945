import type { RunId, ThreadTask, ToThread } from '../../src/tunnel/link.ts';
import hostTunnels from '../../workers/tunnel-thread.ts';

/** What a route table for one of these hosts makes the thread do, whatever tunnels it hosts. */
const misdeeds: Readonly<Record<string, () => void>> = {
  'throws.test': () => {
    throw new TypeError('thrown on command');
  },
  'rejects.test': () => {
    void Promise.reject(new Error('rejected on command'));
  },
  'exits.test': () => process.exit(7),
  'spins.test': () => {
    for (;;);
  },
  /** As a thread does that hardly gets the processor. */
  'dozes.test': () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
  },
  'allocates.test': () => {
    const kept: number[][] = [];
    for (;;) kept.push(new Array<number>(100_000).fill(1.5));
  },
};

/**
 * The real thread, with a switch that breaks it: a `tunnel.routes` for a host of the list above. `1.exits.test`
 * means only the thread that carries the tunnel's connection 1.
 */
export default function hostTunnelsBadly(task: ThreadTask): Promise<void> {
  const connections = new Map<RunId, readonly number[]>();
  task.port.on('message', (message: ToThread) => {
    if (message.type === 'tunnel.start') connections.set(message.spec.run, message.spec.connections);
    if (message.type !== 'tunnel.routes') return;
    const [, connIndex, misdeed = ''] = /^(?:(\d+)\.)?(.*)$/.exec(message.routes.host) ?? [];
    const here = connIndex === undefined || connections.get(message.run)?.includes(Number(connIndex));
    if (!here) return;
    misdeeds[misdeed]?.();
    if (misdeed === 'deaf.test') goDeaf(task);
  });
  return hostTunnels(task);
}

/** A thread that hosts on but ends no tunnel. */
function goDeaf({ port }: ThreadTask): void {
  port.removeAllListeners('message');
  port.on('message', (later: ToThread) => {
    if (later.type === 'thread.ping') port.postMessage({ type: 'thread.pong', sequence: later.sequence });
  });
}
