/**
 * Expected failures are values with a code. The code's row says what its receiver does next, so nobody ever
 * looks into an error's text. Bugs are thrown and end the actor in which they happen.
 */

/**
 * `retry`: try the same thing again, with backoff. `await-change`: the same thing fails again until somebody
 * changes the Ingress, the credentials or the account. `escalate`: a bug or a broken invariant; whoever owns
 * the failing part replaces it.
 */
export type Disposition = 'retry' | 'await-change' | 'escalate';

const dispositions = {
  // The edge and the connector.
  'edge-dial': 'retry',
  'edge-tls': 'retry',
  'edge-timeout': 'retry',
  'edge-lost': 'retry',
  'edge-protocol': 'retry',
  'edge-duplicate': 'retry',
  'edge-unauthorized': 'retry',
  'edge-refused': 'retry',
  'edge-discovery': 'retry',
  'files-exhausted': 'retry',
  // What runs a connector: a worker thread, or pods.
  'thread-exited': 'retry',
  'thread-threw': 'retry',
  'thread-out-of-memory': 'retry',
  'thread-unresponsive': 'retry',
  'threads-exhausted': 'retry',
  'pods-failing': 'retry',
  // Kubernetes.
  'kube-unreachable': 'retry',
  'kube-expired': 'retry',
  'kube-conflict': 'retry',
  'kube-not-found': 'retry',
  'kube-forbidden': 'retry',
  'kube-refused': 'retry',
  // Cloudflare.
  'cloudflare-unreachable': 'retry',
  'cloudflare-rate-limited': 'retry',
  'cloudflare-refused': 'retry',
  'tunnel-in-use': 'retry',
  'credentials-invalid': 'await-change',
  'quota-exceeded': 'await-change',
  'zone-unknown': 'await-change',
  'dns-conflict': 'await-change',
  'host-taken': 'await-change',
  // Input.
  'ingress-invalid': 'await-change',
  'config-invalid': 'await-change',
  // The house itself.
  stopped: 'retry',
  'not-leading': 'retry',
  'restart-intensity': 'escalate',
  bug: 'escalate',
} as const satisfies Record<string, Disposition>;

export type FaultCode = keyof typeof dispositions;

/** Plain data: crosses threads and is logged as it is, so its message never holds a secret. */
export interface Fault {
  readonly code: FaultCode;
  /** One sentence: what was seen, where, and what was expected. */
  readonly message: string;
  /** The other side's wish (`Retry-After`, the edge's `retryAfter`): no new attempt before that, milliseconds. */
  readonly retryAfterMs?: number;
}

export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly fault: Fault };

export function ok<T>(value: T): Result<T> {
  return { ok: true, value };
}

export function failed(code: FaultCode, message: string, retryAfterMs?: number): Result<never> {
  return { ok: false, fault: fault(code, message, retryAfterMs) };
}

export function fault(code: FaultCode, message: string, retryAfterMs?: number): Fault {
  return retryAfterMs === undefined ? { code, message } : { code, message, retryAfterMs };
}

export function dispositionOf(code: FaultCode): Disposition {
  return dispositions[code];
}

/** Cloudflare's API did not answer, or wants no calls: nothing that was asked of it is wrong. */
export function isCloudflareAway({ code }: Fault): boolean {
  return code === 'cloudflare-unreachable' || code === 'cloudflare-rate-limited';
}

/** Carries a fault through code that can only throw; `faultOf` takes it out again. */
export class FaultError extends Error {
  override readonly name = 'FaultError';
  readonly fault: Fault;

  constructor(fault: Fault, options?: ErrorOptions) {
    super(fault.message, options);
    this.fault = fault;
  }
}

/** The fault in whatever was thrown. Anything that is not a `FaultError` is a bug. */
export function faultOf(thrown: unknown): Fault {
  if (thrown instanceof FaultError) return thrown.fault;
  if (thrown instanceof Error) return fault('bug', `${thrown.name}: ${thrown.message}`);
  return fault('bug', `a value that is no Error was thrown: ${typeof thrown}`);
}

/** Closes a switch over a union: a new member does not compile until it is handled. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
