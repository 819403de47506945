import { assert } from 'chai';
import type { ConnectorSpec } from '../../src/tunnel/link.ts';
import { HoldingOrigin } from './holding-origin.ts';
import { RunningConnector, routesTo, specFor } from './running-connector.ts';
import { ScriptedEdge } from './scripted-edge.ts';

/** A scripted edge, an origin that holds its answers, and the connector between them, anew for each test of the suite. */
export class ConnectorStage {
  edge!: ScriptedEdge;
  origin!: HoldingOrigin;
  running: RunningConnector | null = null;

  /** Within a `describe`. */
  constructor() {
    beforeEach(async () => {
      this.running = null;
      this.edge = await ScriptedEdge.start();
      this.origin = await HoldingOrigin.start();
    });
    afterEach(async () => {
      this.running?.connector.destroy();
      assert.strictEqual(this.running?.clock.pendingTimers ?? 0, 0, 'timers left behind');
      await this.edge.close();
      await this.origin.close();
    });
  }

  start(overrides: Partial<ConnectorSpec> = {}): RunningConnector {
    this.running = new RunningConnector(
      specFor(this.edge, { routes: routesTo(this.origin.port), ...overrides }),
    );
    return this.running;
  }
}
