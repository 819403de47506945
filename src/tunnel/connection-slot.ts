import type { Fault, FaultCode, Result } from '../fault.ts';
import { type Backoff, backoffDelayMs } from '../time/backoff.ts';
import type { Clock, Timer } from '../time/clock.ts';
import type { Turn } from './dial-gate.ts';
import type { EdgeAddress } from './edge-addresses.ts';
import type { EdgeConnection, EdgeConnectionEvents } from './edge-connection.ts';
import type { EdgeReturn } from './edge-return.ts';

/** First retry within a second; the counter starts again once a connection has held half a minute. */
export const connectionBackoff: Backoff = { baseMs: 1000, capMs: 30_000, healthyAfterMs: 30_000 };

/** An attempt that waits for an address for so long holds nobody up any more, milliseconds. */
export const lookupStallMs = 1_000;

/**
 * What a connection that the edge is leaving has for its running requests, milliseconds: a download or a WebSocket is cut
 * by the edge that wants it gone, or by our own stop, and not because it lasts. (cloudflared waits for the edge without a bound.)
 */
export const leavingMs = 60 * 60_000;

/** What a slot asks of a connection. */
export type SlotConnection = Pick<EdgeConnection, 'drain' | 'retire' | 'destroy'>;

/** What one HA connection needs of its connector. */
export interface SlotHost {
  readonly clock: Clock;
  readonly random: () => number;
  /** The thread's. */
  readonly edgeReturn: EdgeReturn;
  /** When the connection may be dialled; ended by the slot. */
  turn(go: () => void): Turn;
  /** The address to dial next. */
  address(connIndex: number): Promise<Result<EdgeAddress>>;
  /** The next attempt is to go to another address. */
  rotate(connIndex: number, unreachable: boolean): void;
  open(
    address: EdgeAddress,
    previousAttempts: number,
    connIndex: number,
    events: EdgeConnectionEvents,
  ): SlotConnection;
  registered(connIndex: number, location: string, address: EdgeAddress): void;
  /** An attempt failed or the connection is gone; the next attempt follows. */
  lost(connIndex: number, cause: Fault, retryInMs: number): void;
  configurationRefused(connIndex: number, cause: Fault): void;
  /** After `drain` or `destroy`: nothing of this slot is left. Exactly once. */
  ended(slot: ConnectionSlot): void;
}

/**
 * One HA connection over its lives: it is tried until the connector stops, each time as a new `EdgeConnection`.
 * A connection that the edge is leaving serves on until its replacement is registered.
 */
export class ConnectionSlot {
  readonly connIndex: number;
  readonly #host: SlotHost;
  #current: SlotConnection | null = null;
  readonly #leaving = new Map<SlotConnection, Timer>();
  /** The wait for the next attempt, or the bound of its lookup. */
  #timer: Timer | null = null;
  /** From when it is to be dialled until it is registered or not. */
  #turn: Turn | null = null;
  /** Attempts since the last lasting connection. */
  #attempts = 0;
  #state: 'idle' | 'running' | 'stopping' | 'ended' = 'idle';

  constructor(connIndex: number, host: SlotHost) {
    this.connIndex = connIndex;
    this.#host = host;
  }

  start(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'running';
    this.#attempt();
  }

  /** Unregisters and lets running requests finish; `ended` follows. Idempotent. */
  drain(): void {
    if (!this.#stop()) return;
    this.#current?.drain();
    for (const connection of this.#leaving.keys()) connection.retire();
    this.#endIfEmpty();
  }

  /** `ended` follows before this returns. Idempotent. */
  destroy(): void {
    this.#stop();
    this.#current?.destroy();
    for (const connection of [...this.#leaving.keys()]) connection.destroy();
    this.#endIfEmpty();
  }

  #stop(): boolean {
    if (this.#state === 'stopping' || this.#state === 'ended') return false;
    this.#state = 'stopping';
    this.#timer?.cancel();
    this.#turn?.end(false);
    return true;
  }

  #attempt(): void {
    this.#turn = this.#host.turn(() => void this.#dial());
  }

  async #dial(): Promise<void> {
    const turn = this.#turn;
    let gaveWay = false;
    this.#timer = this.#host.clock.after(lookupStallMs, () => {
      gaveWay = true;
      turn?.end(false);
    });
    const address = await this.#host.address(this.connIndex);
    if (this.#state !== 'running') return;
    this.#timer.cancel();
    if (!address.ok) {
      turn?.end(false);
      return this.#retry(address.fault);
    }
    // Many may have waited for the same answer. The address is known by now.
    if (gaveWay) return this.#attempt();
    this.#connect(address.value);
  }

  #connect(address: EdgeAddress): void {
    const { clock } = this.#host;
    let registeredAtMs: number | null = null;
    let unregistered = (): void => {};
    const forgetFailures = (): void => {
      const heldMs = registeredAtMs === null ? 0 : clock.monotonic() - registeredAtMs;
      if (heldMs >= connectionBackoff.healthyAfterMs) this.#attempts = 0;
    };
    const turn = this.#turn;
    turn?.dials(`${address.ip}:${address.port}`);
    const connection = this.#host.open(address, this.#attempts, this.connIndex, {
      reached: () => turn?.reached(),
      registered: (details) => {
        turn?.end(true);
        registeredAtMs = clock.monotonic();
        unregistered = this.#host.edgeReturn.registered();
        for (const old of this.#leaving.keys()) old.retire();
        this.#host.registered(this.connIndex, details.location, address);
      },
      leaving: (cause) => {
        forgetFailures();
        // What it still carries is no sign of an edge that takes connections.
        unregistered();
        unregistered = () => {};
        this.#current = null;
        this.#leaving.set(
          connection,
          clock.after(leavingMs, () => connection.destroy()),
        );
        this.#retry(cause);
      },
      configurationRefused: (cause) => this.#host.configurationRefused(this.connIndex, cause),
      ended: (cause) => {
        turn?.end(false);
        unregistered();
        if (this.#current === connection) {
          this.#current = null;
          forgetFailures();
          if (this.#state === 'running') this.#failed(cause, registeredAtMs !== null);
        } else {
          this.#leaving.get(connection)?.cancel();
          this.#leaving.delete(connection);
        }
        this.#endIfEmpty();
      },
    });
    this.#current = connection;
  }

  #failed(cause: Fault, wasRegistered: boolean): void {
    const address = verdictOn(cause.code, wasRegistered);
    if (address !== 'fit') this.#host.rotate(this.connIndex, address === 'unreachable');
    this.#retry(cause);
  }

  #retry(cause: Fault): void {
    const { clock, random, edgeReturn } = this.#host;
    const backoffMs = backoffDelayMs(connectionBackoff, this.#attempts, random());
    // On top of what the edge asks for: it asks all of its connectors for the same.
    const delayMs = (cause.retryAfterMs ?? 0) + backoffMs;
    this.#attempts++;
    const attempt = (): void => this.#attempt();
    this.#timer = silent.has(cause.code)
      ? edgeReturn.after(delayMs, backoffDelayMs(connectionBackoff, 0, random()), attempt)
      : clock.after(delayMs, attempt);
    this.#host.lost(this.connIndex, cause, delayMs);
  }

  #endIfEmpty(): void {
    if (this.#state !== 'stopping' || this.#current !== null || this.#leaving.size > 0) return;
    this.#state = 'ended';
    this.#host.ended(this);
  }
}

/** The edge has not said what it wants: once it is back, nothing is left to wait for. */
const silent: ReadonlySet<FaultCode> = new Set([
  'edge-discovery',
  'edge-dial',
  'edge-tls',
  'edge-timeout',
  'edge-lost',
]);

/**
 * What the failure says of the address (protocol page section 3, "Rotation"). One that takes connections and registers
 * none is no better than one that takes none: cloudflared tries it again, but when its first connection is not registered
 * it ends, and whoever starts it anew has it choose anew.
 */
function verdictOn(code: FaultCode, wasRegistered: boolean): 'unreachable' | 'taken' | 'fit' {
  switch (code) {
    case 'edge-dial':
    case 'edge-tls':
    case 'edge-timeout':
      return 'unreachable';
    case 'edge-lost':
    case 'edge-protocol':
      return wasRegistered ? 'fit' : 'unreachable';
    case 'edge-duplicate':
    case 'edge-refused':
      return 'taken';
    default:
      return 'fit';
  }
}
