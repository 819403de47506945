import type { ActorRef, ChildSpec, Ending } from './actor.ts';
import { Cell, type Surroundings } from './cell.ts';

export interface ActorSystem {
  /**
   * Starts an actor that has no parent, with everything below it. Its own spec says what happens when it
   * fails; when that is not a restart, `ended` settles and the process decides.
   */
  spawnRoot<M>(spec: ChildSpec<M>): Root<M>;
}

export interface Root<M> {
  readonly ref: ActorRef<M>;
  /** Stops the whole tree, children before parents; bounded by their `stopWithinMs`. Idempotent. */
  stop(): Promise<void>;
  /** Never rejects. */
  readonly ended: Promise<Ending>;
}

export function createActorSystem(surroundings: Surroundings): ActorSystem {
  return {
    spawnRoot(spec) {
      const cell = new Cell(spec.kind, spec, surroundings, {
        childFailed() {},
        childEnded() {},
        childEscalated() {},
      });
      return {
        ref: cell.ref,
        ended: cell.ended,
        async stop() {
          cell.stop();
          await cell.ended;
        },
      };
    },
  };
}
