import { FaultError, fault } from '../../src/fault.ts';
import type { ActorContext, ActorRef, ChildSpec } from '../../src/kernel/actor.ts';
import { type ActorWorld, childSpec } from './actor-world.ts';

export const lost = fault('edge-lost', 'the connection is gone');

/** A child that keeps one diary over all its incarnations and does what it is told. */
export function diarist(changes: Partial<ChildSpec<string>> = {}) {
  const diary: string[] = [];
  const contexts: ActorContext<string>[] = [];
  const spec = childSpec<string>((context) => {
    diary.push('born');
    contexts.push(context);
    return {
      receive(order) {
        diary.push(order);
        if (order === 'fail') throw new FaultError(lost);
        if (order === 'finish') context.finish();
        return order === 'hang' ? new Promise<void>(() => {}) : undefined;
      },
      stop: () => void diary.push('stop'),
    };
  }, changes);
  return { spec, diary, contexts };
}

/** A parent of one child `c`; `child()` is the reference from `spawn`, `heard` what the parent was told. */
export function parentOf(
  world: ActorWorld,
  spec: ChildSpec<string>,
  changes: Partial<ChildSpec<string>> = {},
) {
  const heard: string[] = [];
  let child: ActorRef<string> | undefined;
  const root = world.system.spawnRoot<string>(
    childSpec<string>(
      (context) => {
        child = context.spawn('c', spec);
        return {
          receive(order) {
            heard.push(order);
            if (order === 'stop child') context.stopChild('c');
            if (order === 'spawn again') child = context.spawn('c', spec);
            return order === 'hang' ? new Promise<void>(() => {}) : undefined;
          },
          childFailed: (name, { code }, delayMs) => void heard.push(`${name} failed: ${code}, ${delayMs} ms`),
          childEnded: (name, { how }) => void heard.push(`${name} ended: ${how}`),
          stop: () => void heard.push('stop'),
        };
      },
      { kind: 'parent', ...changes },
    ),
  );
  return { root, heard, child: () => child! };
}
