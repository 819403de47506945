import type { ThreadTask, ToThread } from '../../src/tunnel/link.ts';
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
  'allocates.test': () => {
    const kept: number[][] = [];
    for (;;) kept.push(new Array<number>(100_000).fill(1.5));
  },
};

/** The real thread, with a switch that breaks it: a `tunnel.routes` for a host of the list above. */
export default function hostTunnelsBadly(task: ThreadTask): Promise<void> {
  task.port.on('message', (message: ToThread) => {
    if (message.type === 'tunnel.routes') misdeeds[message.routes.host]?.();
    // A thread that hosts on but ends no tunnel.
    if (message.type === 'tunnel.routes' && message.routes.host === 'deaf.test') {
      task.port.removeAllListeners('message');
      task.port.on('message', (later: ToThread) => {
        if (later.type !== 'thread.ping') return;
        task.port.postMessage({ type: 'thread.pong', sequence: later.sequence });
      });
    }
  });
  return hostTunnels(task);
}
