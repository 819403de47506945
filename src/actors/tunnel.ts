import { type Fault, unreachable } from '../fault.ts';
import type { ActorFactory, ChildSpec } from '../kernel/actor.ts';
import type { Backoff } from '../time/backoff.ts';
import { type LostConnection, saidByRunner, sayOne } from './lost-connections.ts';
import type { TunnelMessage } from './messages.ts';
import type { ActorLog, TunnelRunner, TunnelRunRequest } from './ports.ts';
import { ToldCauses } from './told-causes.ts';

/**
 * Holds one run of a runner. It lives exactly while the tunnel should be up; when the run ends by itself the
 * actor fails with the run's fault, and its supervision starts a new one with backoff.
 */
export function tunnelActor(
  world: TunnelWorld,
  /** Asked at every start, so that a restarted tunnel begins with the routes of now. */
  begin: () => TunnelLife,
): ActorFactory<TunnelMessage> {
  return (context) => {
    const { request, hearConnections, hearUnauthorized, hearAccess, hearFailing, hearQuarantine } = begin();
    const { host } = request;
    let ended = false;
    let refusals = 0;
    let registered = 0;
    /** Of each connection, since one was registered. */
    const told = new ToldCauses();
    let whenEnded = (): void => {};
    const run = world.runner.start(request, (fact) => {
      if (fact.type === 'ended') {
        ended = true;
        whenEnded();
      }
      context.self.tell({ type: 'fact', fact });
    });

    return {
      receive(message) {
        switch (message.type) {
          case 'routes':
            return run.updateRoutes(message.routes);
          case 'fact':
            return receiveFact(message.fact);
          default:
            return unreachable(message);
        }
      },
      /** Resolves when the run has ended: the runner bounds the drain by the grace period. */
      stop() {
        if (ended) return;
        const drained = new Promise<void>((resolve) => {
          whenEnded = resolve;
        });
        run.stop();
        return drained;
      },
    };

    function receiveFact(fact: Extract<TunnelMessage, { type: 'fact' }>['fact']): void {
      switch (fact.type) {
        case 'connections':
          if (fact.registered > 0) refusals = 0;
          if (fact.registered > registered) told.clear();
          registered = fact.registered;
          return hearConnections(fact.registered);
        case 'lost':
          // What other connections meet, an address that cannot be reached, does not unsay the refusals.
          if (fact.fault.code === 'edge-unauthorized' && ++refusals % doubtAfterRefusals === 0)
            hearUnauthorized();
          return lost({ host, connIndex: fact.connIndex, fault: fact.fault });
        case 'access':
          return hearAccess(fact.problem);
        case 'quarantine':
          return hearQuarantine(fact.isApart);
        case 'failing':
          if (fact.fault !== null)
            world.log.warn({ host, detail: fact.fault.message }, 'tunnel waits for its pods');
          return hearFailing(fact.fault);
        case 'ended':
          // A run that ends well without having been asked to is as gone as one that failed.
          context.fail(fact.fault ?? { code: 'edge-lost', message: 'the connector ended by itself' });
          return;
        default:
          return unreachable(fact);
      }
    }

    function lost(connection: LostConnection): void {
      const { connIndex, fault } = connection;
      if (
        !saidByRunner.has(fault.code) &&
        told.isNews(`${connIndex} ${fault.code}`, context.clock.monotonic())
      )
        world.lost(connection);
      else sayOne(world.log, 'debug', connection);
    }
  };
}

export interface TunnelWorld {
  readonly runner: TunnelRunner;
  readonly log: ActorLog;
  /** Warns of a connection that was lost, together with others that are lost at that time. */
  readonly lost: (connection: LostConnection) => void;
}

export interface TunnelLife {
  readonly request: TunnelRunRequest;
  /** How many of the tunnel's connections are registered now. */
  readonly hearConnections: (registered: number) => void;
  /** The edge has refused the credentials `doubtAfterRefusals` times since a connection was registered. */
  readonly hearUnauthorized: () => void;
  readonly hearAccess: (problem: string | null) => void;
  readonly hearQuarantine: (isApart: boolean) => void;
  /** What keeps the run from serving as it should, or null; it goes on. */
  readonly hearFailing: (fault: Fault | null) => void;
}

/** The edge also refuses for some seconds after a creation, until it has heard of the tunnel. */
const doubtAfterRefusals = 4;

/** A tunnel is tried again for ever; its own failures never reach the Ingress' other hosts. */
const tunnelBackoff: Backoff = { baseMs: 500, capMs: 30_000, healthyAfterMs: 60_000 };

/** Beyond the grace period, for the runner to end a run that does not answer. */
const stopSlackMs = 15_000;

export function tunnelSpec(create: ActorFactory<TunnelMessage>, graceMs: number): ChildSpec<TunnelMessage> {
  return {
    kind: 'tunnel',
    create,
    restart: 'permanent',
    backoff: tunnelBackoff,
    intensity: { maxRestarts: 10, windowMs: 60_000, whenExceeded: 'hold' },
    stopWithinMs: graceMs + stopSlackMs,
    keyOf: (message) => (message.type === 'routes' ? 'routes' : undefined),
  };
}
