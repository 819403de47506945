import type { IngressKey } from '../domain/ingress.ts';
import type { ActorContext, ActorFactory, ActorRef, ChildSpec } from '../kernel/actor.ts';
import { type IngressWorld, ingressActor } from './ingress.ts';
import { ingressMessageKey } from './message-keys.ts';
import type { Assignment, IngressMessage, SupervisorMessage } from './messages.ts';

/** Beyond the tunnels' own time to stop. */
export const stopSlackMs = 20_000;

interface Directions {
  /** Something is there that the Ingress' actor is for. */
  isNeeded(key: IngressKey): boolean;
  assignmentOf(key: IngressKey): Assignment;
}

/**
 * The supervisor's children, one for each Ingress that needs one. Invariant: one that has been asked to stop is told
 * nothing any more, and who takes its place begins only after its end.
 */
export class IngressActors {
  readonly #context: ActorContext<SupervisorMessage>;
  readonly #world: IngressWorld;
  readonly #directions: Directions;
  readonly #stopping = new Set<IngressKey>();

  constructor(context: ActorContext<SupervisorMessage>, world: IngressWorld, directions: Directions) {
    this.#context = context;
    this.#world = world;
    this.#directions = directions;
  }

  /** Tells it what it is responsible for now; begins with it, or ends it, where that is due. */
  assign(key: IngressKey): void {
    if (this.#stopping.has(key)) return;
    const actor = this.#of(key);
    if (!this.#directions.isNeeded(key)) {
      if (actor === undefined) return;
      this.#stopping.add(key);
      return this.#context.stopChild(key);
    }
    if (actor !== undefined) return actor.tell({ type: 'assigned' });
    const assignment = (): Assignment => this.#directions.assignmentOf(key);
    const create = ingressActor(assignment, this.#context.self, this.#world);
    this.#context.spawn(key, ingressSpec(create, this.#world.graceMs));
  }

  /** Nothing where there is no such actor. */
  tell(key: IngressKey, message: IngressMessage): void {
    this.#of(key)?.tell(message);
  }

  ended(key: IngressKey): void {
    this.#stopping.delete(key);
    if (this.#directions.isNeeded(key)) this.assign(key);
  }

  #of(key: IngressKey): ActorRef<IngressMessage> | undefined {
    return this.#stopping.has(key) ? undefined : this.#context.child<IngressMessage>(key);
  }
}

/** `hold`: an Ingress whose actor fails again and again is slow to come back, and nobody else notices. */
function ingressSpec(create: ActorFactory<IngressMessage>, graceMs: number): ChildSpec<IngressMessage> {
  return {
    kind: 'ingress',
    create,
    restart: 'permanent',
    backoff: { baseMs: 1_000, capMs: 60_000, healthyAfterMs: 300_000 },
    intensity: { maxRestarts: 10, windowMs: 300_000, whenExceeded: 'hold' },
    stopWithinMs: graceMs + stopSlackMs,
    keyOf: ingressMessageKey,
  };
}
