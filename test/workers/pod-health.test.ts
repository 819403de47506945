import { expect } from 'chai';
import { startPodHealth } from '../../workers/pod-health.ts';
import { holdConnections } from '../support/held-connections.ts';
import { keptLog } from '../support/kept-log.ts';

describe('the health server of a tunnel pod', () => {
  it('answers probes while somebody holds more connections open than it keeps', async () => {
    const state = {
      connectorId: 'id',
      connected: new Set([0]),
      accessProblem: null,
      edgeProblem: null,
      metrics: async () => ({ type: 'text/plain', text: '' }),
    };
    const listen = { host: '127.0.0.1', port: 0 };
    const { log, lines } = keptLog();
    const started = await startPodHealth(listen, state, log);
    if (!started.ok) throw new Error(started.fault.message);
    const port = Number(lines[0]?.port);
    const held = await holdConnections(port, 65);
    try {
      for (const path of ['/healthz', '/ready']) {
        const { status } = await fetch(`http://127.0.0.1:${port}${path}`, {
          headers: { connection: 'close' },
        });
        expect(status).to.equal(200);
      }
    } finally {
      held.release();
      await started.value.close();
    }
  });
});
