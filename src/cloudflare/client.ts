import { BaseRecords } from 'cloudflare/resources/dns/records';
import { Cloudflared } from 'cloudflare/resources/zero-trust/tunnels/cloudflared';
import { BaseZones } from 'cloudflare/resources/zones/zones';
import { createClient } from 'cloudflare/tree-shakable';
import PQueue from 'p-queue';
import { failed, fault, type Result } from '../fault.ts';
import { type Backoff, backoffDelayMs } from '../time/backoff.ts';
import { type Clock, sleep, type Timer } from '../time/clock.ts';
import { type ApiFailure, type ApiResult, describeFailure, failureOf } from './api-failure.ts';
import type { Availability } from './availability.ts';
import { CallBudget } from './budget.ts';
import type { Credentials } from './credentials.ts';
import { fetchEnvelope } from './envelope-fetch.ts';

/** What is more urgent starts first: what ends exposure, then what creates, then what only tidies up. */
const priorities = { close: 2, create: 1, tend: 0 } as const;
export type Priority = keyof typeof priorities;

export interface ApiCall<T> {
  /** For metrics and messages; low in cardinality: `tunnels.create`. */
  readonly op: string;
  readonly priority: Priority;
  /** May be repeated when its answer was lost. A creation may not: it may have happened. */
  readonly repeatable: boolean;
  /** Made also while its area of the API is away, of which it is to tell. */
  readonly isProbe?: true;
  readonly send: (sdk: Sdk, options: { signal: AbortSignal }) => PromiseLike<T>;
}

/** What is counted. Cheap, never throws. */
export interface CallHooks {
  /** `code` is the HTTP status, or `network`, `timeout`, `aborted`. */
  called(op: string, code: string): void;
}

export interface ApiClientOptions {
  readonly credentials: () => Result<Credentials>;
  /** API base (`--api-url`); null is Cloudflare's. */
  readonly apiUrl: string | null;
  readonly clock: Clock;
  readonly random: () => number;
  readonly hooks: CallHooks;
  /** Its own unless given: what runs beside the controller has less to spend. */
  readonly budget?: CallBudget;
  /** Calls that would be in vain are not made, but answered so; left out: they are made. */
  readonly availability?: Pick<Availability, 'faultOf' | 'heard' | 'forget'>;
}

export type Sdk = ReturnType<typeof sdkFor>;

/**
 * The one scheduler of all calls to Cloudflare's API in this process, and the one place that knows the SDK's
 * client. Expected failures are values. A `Retry-After` holds back every call until it is over: those asked for
 * meanwhile are answered `cloudflare-rate-limited` at once, so that their Ingresses can say so.
 */
export class ApiClient {
  readonly #options: ApiClientOptions;
  readonly #queue = new PQueue({ concurrency: maxConcurrentCalls });
  readonly #budget: CallBudget;
  #heldUntilMs = 0;
  #refill: Timer | null = null;
  #sdk: { readonly credentials: Credentials; readonly client: Sdk } | null = null;
  #closed = false;

  constructor(options: ApiClientOptions) {
    this.#options = options;
    this.#budget = options.budget ?? new CallBudget(options.clock.monotonic());
  }

  /** Waits for its turn and the budget, calls, and repeats what may be repeated. Settles soon after an abort. */
  async call<T>(call: ApiCall<T>, signal: AbortSignal): Promise<ApiResult<T>> {
    for (let attempt = 0; ; attempt++) {
      const result = await this.#inTurn(call, signal);
      if (result.ok || !call.repeatable || attempt >= maxRetries) return result;
      // A wish to wait is longer than our delays: the caller's matter.
      if (result.fault.code !== 'cloudflare-unreachable' || result.fault.retryAfterMs !== undefined)
        return result;
      if (this.#options.availability?.faultOf(call.op)) return result;
      const delayMs = backoffDelayMs(retryBackoff, attempt, this.#options.random());
      const slept = await sleep(this.#options.clock, delayMs, signal).then(
        () => true,
        () => false,
      );
      if (!slept) return stopped(call.op);
    }
  }

  /**
   * All pages of a list, each a call of its own. What is deleted between two of them moves the rest towards the pages that
   * were read, so that one may be missed, and whoever misses a zone or a tunnel takes it for gone: then it is read anew.
   */
  async list<T>(call: ListCall<T>, signal: AbortSignal): Promise<ApiResult<T[]>> {
    for (let reading = 0; reading < maxReadings; reading++) {
      const items = await this.#readList(call, signal);
      if (items !== null) return items;
    }
    const text = `what ${call.op} lists at Cloudflare gets fewer faster than it can be read`;
    return failureOf(fault('cloudflare-unreachable', text));
  }

  /** Null when there were fewer at a later page than at the one before. */
  async #readList<T>(call: ListCall<T>, signal: AbortSignal): Promise<ApiResult<T[]> | null> {
    const items: T[] = [];
    let received = 0;
    let before = 0;
    for (let page = 1; page <= maxPages; page++) {
      const paging = { page, per_page: call.perPage };
      const answer = await this.call(
        { ...call, repeatable: true, send: (sdk, options) => call.send(sdk, paging, options) },
        signal,
      );
      if (!answer.ok) return answer;
      const { result, result_info: info } = answer.value;
      const total = (info as { total_count?: unknown } | undefined)?.total_count;
      const raw: readonly unknown[] = Array.isArray(result) ? result : [];
      if (typeof total === 'number' && total < before) return null;
      before = typeof total === 'number' ? total : 0;
      received += raw.length;
      for (const item of raw) {
        const parsed = call.parse(item);
        if (parsed !== null) items.push(parsed);
      }
      // Whoever says how many there are is believed; whoever does not has no page after a short or overlong one. A
      // page may be smaller than we asked for.
      const more = typeof total === 'number' ? received < total : raw.length === call.perPage;
      if (!more || raw.length === 0) return { ok: true, value: items };
    }
    const text = `Cloudflare's answer to ${call.op} has more than ${maxPages} pages`;
    return failureOf(fault('cloudflare-refused', text));
  }

  /** Calls that may be made now. */
  get budgetRemaining(): number {
    return this.#budget.remaining(this.#options.clock.monotonic());
  }

  /** Nothing is started any more; what waits is answered `stopped`. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#refill?.cancel();
    this.#queue.clear();
  }

  async #inTurn<T>(call: ApiCall<T>, signal: AbortSignal): Promise<ApiResult<T>> {
    if (this.#closed || signal.aborted) return stopped(call.op);
    try {
      const priority = priorities[call.priority];
      const result = await this.#queue.add(() => this.#attempt(call, signal), { priority, signal });
      this.#options.availability?.heard(call.op, result);
      return result;
    } catch (thrown) {
      // The queue rejects what it had not started: our `close` or the caller's abort.
      if (signal.aborted || this.#closed) return stopped(call.op);
      throw thrown;
    }
  }

  async #attempt<T>(call: ApiCall<T>, signal: AbortSignal): Promise<ApiResult<T>> {
    const { clock, hooks, availability } = this.#options;
    const credentials = this.#options.credentials();
    if (!credentials.ok) return failureOf(credentials.fault);
    const sdk = this.#clientFor(credentials.value);
    const heldMs = this.#heldUntilMs - clock.monotonic();
    if (heldMs > 0) {
      const text = `Cloudflare asked for no calls for another ${Math.ceil(heldMs / 1000)} s`;
      return failureOf(fault('cloudflare-rate-limited', text, heldMs));
    }
    const away = call.isProbe ? null : (availability?.faultOf(call.op) ?? null);
    if (away !== null) return failureOf(away);
    this.#spend();
    const cut = new AbortController();
    const abort = (): void => cut.abort();
    signal.addEventListener('abort', abort, { once: true });
    let timedOut = false;
    const deadline = clock.after(callTimeoutMs, () => {
      timedOut = true;
      cut.abort();
    });
    try {
      const value = await call.send(sdk, { signal: cut.signal });
      hooks.called(call.op, '200');
      return { ok: true, value };
    } catch (thrown) {
      if (signal.aborted || timedOut) {
        hooks.called(call.op, timedOut ? 'timeout' : 'aborted');
        return timedOut ? timeout(call.op) : stopped(call.op);
      }
      const failure = describeFailure(thrown, call.op, credentials.value.apiToken);
      hooks.called(call.op, failure.status === 0 ? 'network' : String(failure.status));
      if (failure.status === 429) {
        const untilMs = clock.monotonic() + (failure.fault.retryAfterMs ?? 0);
        this.#heldUntilMs = Math.max(this.#heldUntilMs, untilMs);
      }
      return failure;
    } finally {
      deadline.cancel();
      signal.removeEventListener('abort', abort);
    }
  }

  /** Takes one call out of the budget and stops the queue while there is none left. */
  #spend(): void {
    const { clock } = this.#options;
    this.#budget.spend(clock.monotonic());
    const waitMs = this.#budget.waitMs(clock.monotonic());
    if (waitMs === 0 || this.#closed) return;
    this.#queue.pause();
    this.#refill?.cancel();
    this.#refill = clock.after(waitMs, () => void this.#queue.start());
  }

  #clientFor(credentials: Credentials): Sdk {
    if (this.#sdk?.credentials !== credentials) {
      // Limits are per credential: another one starts without the old one's block.
      if (this.#sdk?.credentials.apiToken !== credentials.apiToken) {
        this.#heldUntilMs = 0;
        this.#options.availability?.forget();
      }
      this.#sdk = { credentials, client: sdkFor(credentials, this.#options.apiUrl) };
    }
    return this.#sdk.client;
  }
}

export interface ListCall<T> {
  readonly op: string;
  readonly priority: Priority;
  readonly perPage: number;
  readonly send: (
    sdk: Sdk,
    paging: { readonly page: number; readonly per_page: number },
    options: { signal: AbortSignal },
  ) => PromiseLike<ListPage>;
  /** Null for an item that is not understood; it is left out. */
  readonly parse: (item: unknown) => T | null;
}

interface ListPage {
  readonly result: unknown;
  /** The SDK's type leaves out `total_count`, which the API sends. */
  readonly result_info?: unknown;
}

/**
 * The SDK with the three resources that we use. Its own retries are off, because every attempt has to pass the
 * budget, and so is its log, because it would show URLs and headers. Null keeps it from reading other
 * credentials out of the environment.
 */
function sdkFor(credentials: Credentials, apiUrl: string | null) {
  const baseURL = credentials.apiUrl ?? apiUrl?.replace(/\/+$/, '');
  return createClient({
    resources: [BaseRecords, BaseZones, Cloudflared],
    apiToken: credentials.apiToken,
    apiKey: null,
    apiEmail: null,
    userServiceKey: null,
    ...(baseURL && { baseURL }),
    maxRetries: 0,
    timeout: callTimeoutMs * 2,
    logLevel: 'off',
    fetch: fetchEnvelope,
    defaultHeaders: { 'User-Agent': 'cloudflare-warp-ingress' },
  });
}

function stopped(op: string): ApiFailure {
  return failureOf(fault('stopped', `${op} was given up because its caller stopped`));
}

function timeout(op: string): ApiFailure {
  const text = `no answer from Cloudflare's API to ${op} within ${callTimeoutMs / 1000} s`;
  return failureOf(fault('cloudflare-unreachable', text));
}

/** What an answer of an unexpected shape is. */
export function misshapen(op: string, expected: string): Result<never> {
  return failed('cloudflare-refused', `Cloudflare's answer to ${op} holds no ${expected}`);
}

/** cloudflared's limit too (protocol page, section 2). For the whole answer, body included. */
export const callTimeoutMs = 15_000;
/** Far below Cloudflare's 200 calls a second per address. */
const maxConcurrentCalls = 6;
const maxRetries = 2;
/** 1,000 tunnels are one page, a zone's records at one name too; this only bounds a peer that never ends. */
const maxPages = 100;
/** Of a list from which somebody deletes meanwhile. */
const maxReadings = 5;
const retryBackoff: Backoff = { baseMs: 500, capMs: 4_000, healthyAfterMs: 0 };
