import type { Fault } from '../fault.ts';

/**
 * What can be seen of the kernel from outside. `path` names one actor and is for logs; `kind` is low in
 * cardinality and is for metrics. Every method is cheap and never throws.
 */
export interface KernelProbe {
  /** Every message to every actor passes here: the place for tracing. */
  told?(path: string, kind: string, message: unknown): void;
  /** A message that no actor will read. */
  deadLetter(path: string, kind: string): void;
  /** An actor will be started again after `delayMs`; without a fault when it had ended normally. */
  restarted(path: string, kind: string, fault: Fault | null, delayMs: number): void;
  /** An actor did not stop within its bound and was cut off. */
  killed(path: string, kind: string): void;
  /** So many letters more or fewer wait for actors of this kind. */
  mailboxDepth(kind: string, delta: number): void;
}

/** The few log methods that the kernel uses. */
export interface KernelLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
