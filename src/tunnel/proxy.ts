import { hostMatches, matchRoute, type Route, type RouteTable } from '../domain/routes.ts';
import { pathOfBytes } from '../domain/url-path.ts';
import type { Logger } from '../log.ts';
import type { Clock } from '../time/clock.ts';
import { AccessGuard } from './access/access-guard.ts';
import type { AccessTeams } from './access/access-teams.ts';
import type { Counts } from './counts.ts';
import type { EdgeStream, RequestHead } from './edge-session.ts';
import type { StreamHandler } from './http2/stream.ts';
import { CollectedBytes } from './origin/collected-bytes.ts';
import { hostOf, planRequest } from './origin/http1-request.ts';
import type { OriginFailure } from './origin/origin-failure.ts';
import { Origins } from './origin/origins.ts';
import { answered, respondByRule, respondOurselves, stopRequest } from './proxy-answer.ts';
import { HttpExchange, type HttpExchangeOwner } from './proxy-http.ts';
import { TcpExchange } from './proxy-tcp.ts';
import { http2Error } from './wire/http2-errors.ts';

/**
 * The way of one tunnel's requests to their origins. Serves any number of edge sessions. Owns the connections to
 * the origins; a session owns its streams.
 */
export interface TunnelProxy {
  /** Takes a new stream: a request, or a WebSocket. It is answered and counted exactly once. */
  open(stream: EdgeStream, head: RequestHead): StreamHandler;
  /** New requests go by the new table; running ones finish on the old. */
  updateRoutes(routes: RouteTable): void;
  readonly openRequests: number;
  /** Cuts every origin connection; running requests fail. Idempotent. */
  destroy(): void;
}

export interface ProxyOptions {
  readonly routes: RouteTable;
  readonly connectorId: string;
  /** Who verifies tokens where the routes ask for them; the caller's. */
  readonly teams: AccessTeams;
  readonly clock: Clock;
  readonly counts: Counts;
  readonly log: Pick<Logger, 'debug' | 'warn' | 'error'>;
  /** As `AccessGuardOptions` has it. */
  hearAccess(problem: string | null): void;
}

/** Requests of one tunnel at the same time, WebSockets included; further ones are answered 503. */
export const maxOpenRequests = 10_000;
/** Failures of origins are logged at most this often, with the number of those in between. */
const failureLogEveryMs = 1_000;

export function createProxy(options: ProxyOptions): TunnelProxy {
  return new AccessGuard(new RoutingProxy(options), options);
}

class RoutingProxy implements TunnelProxy, HttpExchangeOwner {
  readonly clock: Clock;
  readonly collecting = new CollectedBytes();
  readonly #connectorId: string;
  readonly #counts: Counts;
  readonly #log: ProxyOptions['log'];
  readonly #origins: Origins;
  #routes: RouteTable;
  /** Some path has escapes, so that of a request, in which they may be written in other ways, is not compared as it is. */
  #hasEscapes: boolean;
  /** The authority that matched last: nearly always the next one, too. */
  #knownAuthority: string | null = null;
  #openRequests = 0;
  #failureLoggedMs = Number.NEGATIVE_INFINITY;
  #failuresUnlogged = 0;
  #destroyed = false;

  constructor(options: ProxyOptions) {
    this.clock = options.clock;
    this.#connectorId = options.connectorId;
    this.#counts = options.counts;
    this.#log = options.log;
    this.#origins = new Origins(options.clock);
    this.#routes = options.routes;
    this.#hasEscapes = hasEscapes(options.routes);
    this.#origins.update(options.routes);
  }

  get openRequests(): number {
    return this.#openRequests;
  }

  updateRoutes(routes: RouteTable): void {
    if (this.#destroyed) return;
    this.#routes = routes;
    this.#hasEscapes = hasEscapes(routes);
    this.#knownAuthority = null;
    this.#origins.update(routes);
  }

  destroy(): void {
    this.#destroyed = true;
    this.#origins.destroy({ reason: 'other', message: 'the tunnel was ended' });
  }

  open(stream: EdgeStream, head: RequestHead): StreamHandler {
    if (this.#destroyed || this.#openRequests >= maxOpenRequests) {
      this.originFailed({
        reason: 'limit',
        message: `more than ${maxOpenRequests} requests, or the tunnel has ended`,
      });
      return this.#answer(stream, head, 503, respondOurselves);
    }
    const route = this.#routeOf(head);
    if (route === null) return this.#answer(stream, head, 404, respondByRule);
    if (route.target.kind === 'status') return this.#answer(stream, head, route.target.status, respondByRule);

    const { settings } = route.target.origin;
    const plan = planRequest(head, { connectorId: this.#connectorId, hostHeader: settings.hostHeader });
    if ('refused' in plan) {
      this.#log.debug({ refused: plan.refused }, 'request refused');
      stream.reset(http2Error.protocolError);
      this.#counts.request(0, 0);
      return answered;
    }
    const origin = this.#origins.of(route);
    if (origin === null || plan.privateTcp) {
      const message = plan.privateTcp ? 'private-network TCP is not served' : 'the route has no address';
      this.originFailed({ reason: 'other', message });
      return this.#answer(stream, head, 502, respondOurselves);
    }
    const exchange =
      settings.protocol === 'tcp'
        ? new TcpExchange(this, stream, head, origin)
        : new HttpExchange(this, stream, plan, head.ended, origin);
    this.#openRequests += 1;
    exchange.start();
    return exchange;
  }

  over(status: number, startedMs: number): void {
    this.#openRequests -= 1;
    this.#counts.request(codeClass(status), (this.clock.monotonic() - startedMs) / 1_000);
  }

  peerFailed(why: string): void {
    this.#log.debug({ why }, 'WebSocket broken by its client');
  }

  originFailed(failure: OriginFailure): void {
    this.#counts.originError(failure.reason);
    const nowMs = this.clock.monotonic();
    this.#failuresUnlogged += 1;
    if (nowMs - this.#failureLoggedMs < failureLogEveryMs) return;
    const { reason, message } = failure;
    const fields = { host: this.#routes.host, reason, message, failures: this.#failuresUnlogged };
    this.#log.warn(fields, 'origin failed');
    this.#failureLoggedMs = nowMs;
    this.#failuresUnlogged = 0;
  }

  #routeOf(head: RequestHead): Route | null {
    const authority = authorityOf(head);
    if (authority !== this.#knownAuthority) {
      if (!hostMatches(this.#routes.host, hostOf(authority).toLowerCase())) return null;
      this.#knownAuthority = authority;
    }
    // `OPTIONS *` asks the server as a whole (RFC 9110, section 9.3.7): the one behind the root of the host.
    const asked = head.path === '*' && head.method === 'OPTIONS' ? '/' : head.path;
    const query = asked.indexOf('?');
    const path = query < 0 ? asked : asked.slice(0, query);
    return matchRoute(this.#routes, this.#hasEscapes ? pathOfBytes(path) : path);
  }

  #answer(
    stream: EdgeStream,
    head: RequestHead,
    status: number,
    respond: (stream: EdgeStream, status: number) => void,
  ): StreamHandler {
    respond(stream, status);
    if (!head.ended) stopRequest(stream);
    this.#counts.request(codeClass(status), 0);
    return answered;
  }
}

function hasEscapes({ routes }: RouteTable): boolean {
  return routes.some(({ path }) => path.includes('%'));
}

/** A missing `:authority` is replaced by a host header (protocol page, section 5.1). */
function authorityOf(head: RequestHead): string {
  if (head.authority !== '') return head.authority;
  for (let i = 0; i + 1 < head.headers.length; i += 2)
    if (head.headers[i] === 'host') return head.headers[i + 1]!;
  return '';
}

function codeClass(status: number): number {
  return Math.min(5, Math.floor(status / 100));
}
