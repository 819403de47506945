import { assert } from 'chai';
import type { RunFact, TunnelRun } from '../../src/actors/ports.ts';
import type { Fault } from '../../src/fault.ts';
import {
  createThreadRunner,
  type ThreadRunner,
  type ThreadRunnerOptions,
} from '../../src/runners/thread-runner.ts';
import type { TunnelCounts } from '../../src/tunnel/link.ts';
import { eventually } from './eventually.ts';
import { HoldingOrigin } from './holding-origin.ts';
import { keptLog } from './kept-log.ts';
import { ManualClock } from './manual-clock.ts';
import { routesTo } from './running-connector.ts';
import { type EdgePeer, ScriptedEdge } from './scripted-edge.ts';

const misbehaving = new URL('./misbehaving-thread.js', import.meta.url);
const secret = Buffer.alloc(32, 5).toString('base64');

/** One run of the tunnel of `app<index>.example.com`, with everything it told. */
export class StagedRun {
  readonly run: TunnelRun;
  readonly facts: RunFact[];
  readonly index: number;
  readonly #edge: ScriptedEdge;

  constructor(run: TunnelRun, facts: RunFact[], index: number, edge: ScriptedEdge) {
    this.run = run;
    this.facts = facts;
    this.index = index;
    this.#edge = edge;
  }

  /** Connections that are registered now. */
  get connections(): number {
    return this.facts.findLast((fact) => fact.type === 'connections')?.registered ?? 0;
  }

  async registered(count = 1): Promise<void> {
    await eventually(`${count} registered`, () => this.connections === count);
  }

  async ended(): Promise<void> {
    await eventually('ended', () => this.facts.find((fact) => fact.type === 'ended'));
  }

  get losses(): readonly Extract<RunFact, { type: 'lost' }>[] {
    return this.facts.filter((fact) => fact.type === 'lost');
  }

  get endings(): number {
    return this.facts.filter(({ type }) => type === 'ended').length;
  }

  /** Of the last fact, which must be the ending. */
  get ending(): Fault | null {
    const last = this.facts.at(-1);
    if (last?.type !== 'ended') throw new Error('has not ended');
    return last.fault;
  }

  /** The edge's ends of the tunnel's open connections. */
  get peers(): readonly EdgePeer[] {
    return this.#edge.open.filter(({ registration }) => registration?.tunnelId === tunnelIdOf(this.index));
  }

  get peer(): EdgePeer {
    return this.peers.at(-1) as EdgePeer;
  }

  async status(peer: EdgePeer = this.peer): Promise<number | undefined> {
    const authority = `app${this.index}.example.com`;
    return (await peer.request({ ':path': '/', ':authority': authority }).headers())[':status'];
  }

  /** Has the threads that carry it do what `misbehaving-thread` knows by that name. */
  command(misdeed: string): void {
    this.run.updateRoutes({ host: misdeed, routes: [], access: null });
  }
}

/** A runner with real threads that obey bad commands, before a scripted edge, on a clock that the test moves. */
export class RunnerStage {
  readonly edge: ScriptedEdge;
  readonly origin: HoldingOrigin;
  readonly clock = new ManualClock();
  /** Tunnels of each thread, null once it is gone. */
  readonly threads = new Map<string, number | null>();
  readonly counts: [string, TunnelCounts][] = [];
  readonly log = keptLog();
  #runner: ThreadRunner | null = null;

  private constructor(edge: ScriptedEdge, origin: HoldingOrigin) {
    this.edge = edge;
    this.origin = origin;
  }

  static async open(): Promise<RunnerStage> {
    return new RunnerStage(await ScriptedEdge.start(), await HoldingOrigin.start());
  }

  /** Two threads for shared use unless the test says otherwise. */
  createRunner(overrides: Partial<ThreadRunnerOptions> = {}): ThreadRunner {
    this.#runner = createThreadRunner({
      clock: this.clock,
      log: this.log.log,
      logLevel: 'error',
      accessCertsUrl: null,
      edge: { addresses: [this.edge.address], ca: this.edge.ca },
      graceMs: 2000,
      cores: 2,
      maxThreads: 2,
      tunnelsPerThread: 'auto',
      workerFile: misbehaving,
      heapMb: 64,
      onCounts: (host, counted) => this.counts.push([host, counted]),
      onThread: (thread, tunnels) => this.threads.set(thread, tunnels),
      ...overrides,
    });
    return this.#runner;
  }

  start(index: number, { token = tokenOf(index), haConnections = 1 } = {}): StagedRun {
    const host = `app${index}.example.com`;
    const facts: RunFact[] = [];
    const run = this.#runner!.start(
      {
        host,
        ingress: 'web',
        tunnel: { accountId: 'account', id: tunnelIdOf(index), token },
        haConnections,
        place: { mode: 'worker' },
        routes: { ...routesTo(this.origin.port), host },
      },
      (fact) => facts.push(fact),
    );
    return new StagedRun(run, facts, index, this.edge);
  }

  /** Threads that are there now, with the number of their tunnels. */
  get living(): ReadonlyMap<string, number> {
    return new Map([...this.threads].filter((entry): entry is [string, number] => entry[1] !== null));
  }

  async close(): Promise<void> {
    await this.#runner?.close();
    assert.strictEqual(this.clock.pendingTimers, 0, 'timers left behind');
    assert.isEmpty([...this.living], 'threads left behind');
    assert.notInclude(JSON.stringify(this.log.lines), secret);
    await this.edge.close();
    await this.origin.close();
  }
}

function tunnelIdOf(index: number): string {
  return `${String(index + 1).padStart(8, '0')}-2222-4333-8444-555555555555`;
}

function tokenOf(index: number): string {
  const fields = { a: 'account', t: tunnelIdOf(index), s: secret };
  return Buffer.from(JSON.stringify(fields)).toString('base64');
}
