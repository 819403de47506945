import { expect } from 'chai';
import type { SupervisorMessage } from '../../src/actors/messages.ts';
import type { Telemetry, TunnelState } from '../../src/actors/ports.ts';
import { type SupervisorWorld, supervisorSpec } from '../../src/actors/supervisor.ts';
import type { BackendPort, IngressSpec } from '../../src/domain/ingress.ts';
import { createActorSystem } from '../../src/kernel/system.ts';
import { plainSettings } from './ingress-settings.ts';
import { ManualClock, settle } from './manual-clock.ts';
import { MemoryCaSecrets, MemoryCloudflare, MemoryLedger, MemoryRunner, MemorySink } from './memory-ports.ts';
import { ScriptedLeadership } from './scripted-leadership.ts';

/**
 * The actors over a world in memory: an obvious Cloudflare, ledger, runner and sink, whose state a test looks
 * at and whose next calls it can let fail. What is under test is only `src/actors` and the kernel below it.
 */
export class ActorHouse {
  readonly clock: ManualClock;
  readonly cloudflare: MemoryCloudflare;
  readonly ledger: MemoryLedger;
  readonly runner = new MemoryRunner();
  readonly sink = new MemorySink();
  readonly caSecrets = new MemoryCaSecrets((message) => this.#root.ref.tell(message));
  readonly leadership = new ScriptedLeadership();
  readonly states = new Map<string, TunnelState>();
  /** Every message to any actor: its kind and the message's type. */
  readonly told: string[] = [];
  readonly #rows = new Map<string, TunnelState>();
  /** What was begun to be written, or asked of Cloudflare, while we did not lead. */
  readonly trespasses: string[] = [];
  readonly #root;
  readonly #unwatch: () => void;
  synced = false;

  /** `over` puts real parts in the place of those in memory; `beside` is another replica in the same world. */
  constructor(
    over: Partial<Omit<SupervisorWorld, 'ledger'>> & { readonly ledger?: MemoryLedger } = {},
    beside?: ActorHouse,
  ) {
    this.clock = beside?.clock ?? new ManualClock();
    this.cloudflare = beside?.cloudflare ?? new MemoryCloudflare();
    this.ledger = over.ledger ?? beside?.ledger ?? new MemoryLedger();
    const silent = { info() {}, warn() {}, error() {}, debug() {} };
    const telemetry: Telemetry = {
      tunnelState: (ingress, host, state) => {
        if (state === null) this.#rows.delete(`${ingress} ${host}`);
        else this.#rows.set(`${ingress} ${host}`, state);
        const [last] = this.rows(host).slice(-1);
        if (last === undefined) this.states.delete(host);
        else this.states.set(host, last.split(' ')[1] as TunnelState);
      },
      tunnelConnections() {},
      tunnelRestarted() {},
      timeToReady() {},
      ingressProblems() {},
    };
    const world: SupervisorWorld = {
      identity: 'me',
      leadership: this.leadership,
      cloudflare: this.#guarded(this.cloudflare),
      ledger: this.#guarded(this.ledger),
      runner: this.runner,
      sink: this.#guarded(this.sink, 'event'),
      caSecrets: this.caSecrets,
      telemetry,
      log: silent,
      random: () => 0.5,
      graceMs: 30_000,
      synced: () => {
        this.synced = true;
      },
      ...over,
    };
    const told = (_path: string, kind: string, message: unknown): void =>
      void this.told.push(`${kind} ${(message as { type: string }).type}`);
    const probe = { told, deadLetter() {}, restarted() {}, killed() {}, mailboxDepth() {} };
    const system = createActorSystem({ clock: this.clock, random: () => 0.5, log: silent, probe });
    this.#root = system.spawnRoot<SupervisorMessage>(supervisorSpec(world));
    this.leadership.onChange(() => this.#root.ref.tell({ type: 'leadership.changed' }));
    this.#unwatch = this.ledger.watch((message) => this.#root.ref.tell(message));
  }

  /** Notes each use of the port while we do not lead; `free` may always be called. */
  #guarded<T extends object>(port: T, free?: keyof T & string): T {
    return new Proxy(port, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== 'function' || name === free) return member;
        return (...given: unknown[]) => {
          if (!this.leadership.isLeading) this.trespasses.push(`${String(name)}`);
          return member.apply(target, given);
        };
      },
    });
  }

  /** What the status page would list for a host: Ingress and state. */
  rows(host: string): string[] {
    const rows = [...this.#rows].filter(([row]) => row.endsWith(` ${host}`));
    return rows.map(([row, state]) => `${row.slice(0, row.indexOf(' '))} ${state}`).sort();
  }

  /** Tells the supervisor and lets everything follow that needs no time to pass. */
  async tell(...messages: SupervisorMessage[]): Promise<void> {
    for (const message of messages) this.#root.ref.tell(message);
    await this.quiet();
  }

  async quiet(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) await settle();
  }

  /** Lets `ms` pass. */
  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.quiet();
  }

  /** A second controller over the same ledger and Cloudflare: what a restart finds. */
  successor(): ActorHouse {
    const next = new ActorHouse();
    next.cloudflare.tunnels = this.cloudflare.tunnels;
    next.cloudflare.records = this.cloudflare.records;
    next.ledger.entries = this.ledger.entries;
    next.ledger.version = this.ledger.version;
    return next;
  }

  async tellLedger(): Promise<void> {
    await this.tell(
      ...[...this.ledger.entries.values()].map((entry) => ({ type: 'ledger.present' as const, entry })),
    );
  }

  /** Another controller in the same world, at the same time; it leads not until it is told to. */
  replica(): ActorHouse {
    const next = new ActorHouse({}, this);
    next.leadership.isLeading = false;
    return next;
  }

  /** Nothing of any host is left anywhere. */
  expectNothingLeft(): void {
    expect(this.runner.hosts()).to.deep.equal([]);
    expect([...this.cloudflare.tunnels.keys()]).to.deep.equal([]);
    expect([...this.cloudflare.records.keys()]).to.deep.equal([]);
    expect([...this.ledger.entries.keys()]).to.deep.equal([]);
    expect([...this.states.keys()]).to.deep.equal([]);
  }

  async stop(): Promise<void> {
    this.#unwatch();
    const stopped = this.#root.stop();
    await this.quiet();
    this.runner.endAll();
    await this.quiet();
    await stopped;
  }
}

/** An Ingress that leads each host to the Service `web`, port 80, unless told otherwise. */
export function ingress(key: string, hosts: readonly string[], over: Partial<IngressSpec> = {}): IngressSpec {
  return {
    key,
    uid: `uid-${key}`,
    createdAtMs: 1,
    hosts: hosts.map((host) => ({ host, paths: [rule()] })),
    unservable: [],
    settings: plainSettings,
    asksForTls: false,
    publishedHostnames: [],
    problems: [],
    ignored: [],
    ofTunnel: [],
    refused: false,
    ...over,
  };
}

export function rule(service = 'web', port: BackendPort = { by: 'number', number: 80 }) {
  return { path: '/', match: 'prefix' as const, backend: { service, port } };
}

export const present = (spec: IngressSpec): SupervisorMessage => ({ type: 'ingress.present', spec });
export const removed = (key: string): SupervisorMessage => ({ type: 'ingress.removed', key });
export const synced: SupervisorMessage = { type: 'world.synced' };

export function service(name = 'web', port = 80, clusterIp = '10.0.0.1'): SupervisorMessage {
  const ports = [{ name: 'http', port }];
  return {
    type: 'service.present',
    service: { name, uid: name, type: 'ClusterIP', clusterIp, externalName: null, ports },
  };
}

export function slice(name = 'web-1', of = 'web', readyAddresses = ['10.1.0.1']): SupervisorMessage {
  return {
    type: 'slice.present',
    slice: { name, service: of, ports: [{ name: 'http', port: 8080 }], readyAddresses },
  };
}
