import { type Clock, sleep } from '../../time/clock.ts';
import { StatusError } from './status.ts';

/** Which requests a fault concerns. What is left out matches everything. */
export interface FaultFilter {
  /** Plural, as `ingresses`. */
  readonly resource?: string;
  /** As RBAC names them: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`. */
  readonly verb?: string;
  readonly namespace?: string;
  /** Name of the service account that asks. */
  readonly account?: string;
}

/** What happens to requests that match, the next `times` of them (for ever when it is left out). */
export type RequestFault = FaultFilter & { readonly times?: number } & (
    | { readonly fail: { readonly code: number; readonly retryAfterSeconds?: number } }
    /** The request is heard and never answered. */
    | { readonly hang: true }
    /** The connection is cut instead of an answer. */
    | { readonly cut: true }
    | { readonly delayMs: number }
  );

/** A request in the words of a filter. */
export interface RequestFacts {
  readonly resource: string;
  readonly verb: string;
  readonly namespace: string;
  /** Empty: the administrator. */
  readonly account: string;
}

export type Outcome = 'go on' | 'hang' | 'cut';

interface Armed {
  readonly fault: RequestFault;
  left: number;
}

const reasons: { readonly [code: number]: string } = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

export function matchesFault(filter: FaultFilter, facts: RequestFacts): boolean {
  return (
    (filter.resource === undefined || filter.resource === facts.resource) &&
    (filter.verb === undefined || filter.verb === facts.verb) &&
    (filter.namespace === undefined || filter.namespace === facts.namespace) &&
    (filter.account === undefined || filter.account === facts.account)
  );
}

/** The faults that are set for requests, in the order in which they were set. */
export class RequestFaults {
  readonly #clock: Clock;
  #armed: Armed[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(fault: RequestFault): void {
    this.#armed.push({ fault, left: fault.times ?? Number.POSITIVE_INFINITY });
  }

  clear(): void {
    this.#armed = [];
  }

  /** Lets the first fault that matches happen. Throws a `StatusError` for one that fails the request. */
  async meet(facts: RequestFacts, signal: AbortSignal): Promise<Outcome> {
    const armed = this.#armed.find(({ fault, left }) => left > 0 && matchesFault(fault, facts));
    if (armed === undefined) return 'go on';
    armed.left--;
    this.#armed = this.#armed.filter(({ left }) => left > 0);
    const { fault } = armed;
    if ('hang' in fault) return 'hang';
    if ('cut' in fault) return 'cut';
    if ('delayMs' in fault) {
      await sleep(this.#clock, fault.delayMs, signal);
      return 'go on';
    }
    const { code, retryAfterSeconds } = fault.fail;
    throw new StatusError(
      code,
      reasons[code] ?? '',
      `the sandbox was told to fail this request with ${code}`,
      retryAfterSeconds === undefined ? undefined : { retryAfterSeconds },
    );
  }
}
