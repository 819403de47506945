import { connect, createServer, type Server, type Socket } from 'node:net';
import { type KubeObject, listAt, numberAt, objectAt, objectsAt, textAt } from './kube-api/json.ts';
import { endpointSlices } from './kube-api/resources/endpoints.ts';
import { services } from './kube-api/resources/service.ts';
import type { Store } from './kube-api/store/store.ts';

export interface ServiceProxyOptions {
  readonly store: Store;
  /** Hears when an address cannot be listened on; nothing is retried until something changes. */
  readonly onProblem?: (address: string, error: Error) => void;
}

/** A running proxy. Owned by whoever started it. */
export interface ServiceProxy {
  /** Resolves once what the store says now is listened on, or known to be impossible. */
  settled(): Promise<void>;
  /** Idempotent. Cuts all connections. */
  stop(): Promise<void>;
}

interface Target {
  readonly host: string;
  readonly port: number;
}

/**
 * A small kube-proxy: makes each cluster IP and TCP port lead to the ready endpoints of its Service, in
 * turn. A Service without ready endpoints is not listened for, so connecting is refused, as it is in a
 * cluster. Connections outlive the endpoints and the Service that they came by.
 */
export function startServiceProxy({ store, onProblem = () => {} }: ServiceProxyOptions): ServiceProxy {
  const doors = new Map<string, Door>();
  const sockets = new Set<Socket>();
  let scheduled = false;
  let stopped: Promise<void> | null = null;

  const reconcile = (): void => {
    scheduled = false;
    if (stopped !== null) return;
    const wanted = wantedDoors(store);
    for (const [address, door] of doors) {
      if (wanted.has(address)) continue;
      doors.delete(address);
      door.close();
    }
    for (const [address, { host, port, targets }] of wanted) {
      const door = doors.get(address);
      if (door !== undefined && !door.failed) {
        door.targets = targets;
        continue;
      }
      doors.set(address, new Door(host, port, targets, sockets, (error) => onProblem(address, error)));
    }
  };
  const unsubscribe = store.subscribe(({ storage }) => {
    if ((storage !== services.storage && storage !== endpointSlices.storage) || scheduled) return;
    scheduled = true;
    queueMicrotask(reconcile);
  });
  reconcile();

  return {
    settled: async () => {
      await Promise.resolve();
      await Promise.all([...doors.values()].map((door) => door.opened));
    },
    stop: () => {
      stopped ??= (async () => {
        unsubscribe();
        const closing = [...doors.values()].map((door) => door.close());
        for (const socket of sockets) socket.destroy();
        await Promise.all(closing);
      })();
      return stopped;
    },
  };
}

/** One listening socket. Its connections are in the proxy's set, which outlives it. */
class Door {
  targets: readonly Target[];
  failed = false;
  /** Settles when it listens or cannot; never rejects. */
  readonly opened: Promise<void>;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  #turn = 0;

  constructor(
    host: string,
    port: number,
    targets: readonly Target[],
    sockets: Set<Socket>,
    onProblem: (error: Error) => void,
  ) {
    this.targets = targets;
    this.#sockets = sockets;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#lead(client));
    this.opened = new Promise((resolve) => {
      this.#server.once('listening', resolve);
      this.#server.once('error', (error) => {
        this.failed = true;
        onProblem(error);
        resolve();
      });
    });
    this.#server.listen(port, host);
  }

  /** Stops listening; connections go on. */
  async close(): Promise<void> {
    await this.opened;
    if (this.#server.listening) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#server.close(() => resolve());
      await promise;
    }
  }

  #lead(client: Socket): void {
    const target = this.targets[this.#turn++ % this.targets.length]!;
    const upstream = connect({ ...target, allowHalfOpen: true, noDelay: true });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(socket);
      // A connection that breaks on one side is broken on the other, not ended in order.
      socket.on('error', () => other.resetAndDestroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        if (!other.writableEnded) other.destroy();
      });
    }
    client.pipe(upstream);
    upstream.pipe(client);
  }
}

interface WantedDoor extends Target {
  readonly targets: readonly Target[];
}

/** Every cluster IP and port that leads somewhere now. */
function wantedDoors(store: Store): Map<string, WantedDoor> {
  const slices = slicesByService(store);
  const wanted = new Map<string, WantedDoor>();
  for (const service of store.values(services.storage)) {
    const host = textAt(service, 'spec', 'clusterIP');
    if (host === '' || host === 'None') continue;
    const own = slices.get(`${service.metadata.namespace}/${service.metadata.name}`) ?? [];
    for (const servicePort of objectsAt(service, 'spec', 'ports')) {
      const port = numberAt(servicePort, 'port');
      if (servicePort.protocol !== 'TCP' || port === undefined) continue;
      const name = textAt(servicePort, 'name');
      const targets = own.flatMap((slice) => readyTargets(slice, name));
      if (targets.length > 0) wanted.set(`${host}:${port}`, { host, port, targets });
    }
  }
  return wanted;
}

function slicesByService(store: Store): Map<string, KubeObject[]> {
  const slices = new Map<string, KubeObject[]>();
  for (const slice of store.values(endpointSlices.storage)) {
    const name = slice.metadata.labels?.['kubernetes.io/service-name'];
    if (name === undefined) continue;
    const key = `${slice.metadata.namespace}/${name}`;
    const known = slices.get(key);
    if (known === undefined) slices.set(key, [slice]);
    else known.push(slice);
  }
  return slices;
}

/** A slice's ports are named like the Service's; each slice has its own numbers. */
function readyTargets(slice: KubeObject, portName: string): Target[] {
  const port = objectsAt(slice, 'ports').find((each) => textAt(each, 'name') === portName);
  const number = numberAt(port, 'port');
  if (number === undefined || slice.addressType === 'FQDN') return [];
  return objectsAt(slice, 'endpoints')
    .filter((endpoint) => objectAt(endpoint, 'conditions').ready !== false)
    .flatMap((endpoint) => listAt(endpoint, 'addresses').slice(0, 1))
    .map((address) => ({ host: String(address), port: number }));
}
