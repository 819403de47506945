/** What a fault may cost: the columns of the table in `faults.ts`. */

/** Faults of one part do not overlap each other; those of the cluster and of pods do not on one host. */
export type Part =
  | 'threads'
  | 'process'
  | 'replicas'
  | 'clock'
  | 'edge'
  | 'kubernetes'
  | 'cloudflare'
  | 'cluster'
  | 'pods'
  | 'machine';

/**
 * What a host may lose. `nothing`: no request fails. `some`: a part of its connections, so nothing but requests
 * that were open on them when it hit. `all`: every connection, or its backend; requests may fail until it is whole.
 */
export type Loss = 'nothing' | 'some' | 'all';

export interface FaultRule {
  readonly part: Part;
  readonly what: string;
  /** `own`: the host that the fault is about. `threaded`: those whose tunnels run in threads of the controller. */
  readonly hosts: 'own' | 'threaded' | 'every';
  /** In how many pods the tunnel of its host must run; left out: anywhere. */
  readonly pods?: 1 | 2;
  /** Needs a controller that is alone, or several; left out: any number. */
  readonly replicas?: 'one' | 'several';
  readonly loss: Loss;
  /** One host, whichever it is, may lose all: it was alone on the thread. */
  readonly mayLoseOne?: true;
  /** The only status with which requests may fail. */
  readonly onlyStatus?: number;
  /** It takes some connections in order, so that one more that takes some may take the last. */
  readonly thins?: true;
  /** The controller may be blind for a while: the bound is for how soon it sees everything again. */
  readonly blinds?: true;
  /** Parts for whose faults the time begins only when this one is over. */
  readonly holdsUp: readonly Part[];
  /** How long it lasts: least and most, milliseconds. */
  readonly lengthMs: readonly [number, number];
  /** From its end until the host is whole again, on a machine that has time for it. */
  readonly boundMs: number;
  /** How often it is drawn, against the others. */
  readonly weight: number;
}

export const atOnce = [0, 0] as const;

/** The caps of the backoffs (30 s), and the time to dial and register. */
export const afterBackoffMs = 45_000;

/** Something is gone for a while, and has to be back within the bound. */
export function isBound({ loss, mayLoseOne, thins, blinds }: FaultRule): boolean {
  return loss !== 'nothing' || mayLoseOne === true || thins === true || blinds === true;
}
