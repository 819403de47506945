import type { Clock } from '../../time/clock.ts';
import { type Account, type Attempt, type Authorization, attemptOf } from './authorization.ts';
import { discover, serverVersion } from './discovery.ts';
import type { FaultSwitches } from './fault-switches.ts';
import { mediaTypeOf, parseBody, readBody, requireObject } from './http/body.ts';
import type { Exchange } from './http/exchange.ts';
import { listQuery } from './http/options.ts';
import { parseResourcePath, type ResourcePath } from './http/request-info.ts';
import type { JsonObject, KubeObject } from './json.ts';
import { openApi, openApiV2 } from './openapi.ts';
import type { PodLogs } from './pod-logs.ts';
import { timestamp } from './registry/metadata.ts';
import type { Registry } from './registry/registry.ts';
import { serviceAccounts } from './resources/access.ts';
import { pods } from './resources/pod.ts';
import { answerTo, findReview } from './reviews.ts';
import { refuse, StatusError } from './status.ts';
import type { Store } from './store/store.ts';
import { list } from './verbs/list.ts';
import { showLog } from './verbs/log.ts';
import { applyType, patch } from './verbs/patch.ts';
import { remove, removeCollection } from './verbs/remove.ts';
import { isScale, rescale, scaleOf } from './verbs/scale.ts';
import type { Watches } from './verbs/watch.ts';
import { create, replace, subresourceOf, type Written } from './verbs/write.ts';
import { type IncludeObject, presenter } from './view/present.ts';

/** What a service account's token says of itself; it is not held to it. */
const tokenLifeMs = 3_600_000;

/** What handling a request needs. Owned by `startKubeApi`. */
export interface Surface {
  readonly store: Store;
  readonly registry: Registry;
  readonly watches: Watches;
  readonly faults: FaultSwitches;
  readonly clock: Clock;
  readonly calls: Map<string, number>;
  readonly authorization: Authorization;
  readonly logs: PodLogs;
}

/** Answers one request, or throws a `StatusError`. `signal` ends when the client is gone or the server stops. */
export async function handle(
  exchange: Exchange,
  asker: Account | null,
  surface: Surface,
  signal: AbortSignal,
): Promise<void> {
  const { segments, method, request } = exchange;
  if (surface.faults.out) return void exchange.response.destroy();
  const path = parseResourcePath(segments);
  const facts = {
    resource: path?.definition.plural ?? '',
    verb: path === null ? method.toLowerCase() : verbOf(exchange, path),
    namespace: path?.namespace ?? '',
    account: asker?.name ?? '',
  };
  const call = `${facts.verb} ${facts.resource || exchange.path}`;
  surface.calls.set(call, (surface.calls.get(call) ?? 0) + 1);
  const outcome = await surface.faults.requests.meet(facts, signal);
  if (outcome === 'hang') return;
  if (outcome === 'cut') return void exchange.response.destroy();
  if (path !== null) {
    if (asker !== null) {
      for (const verb of verbsNeeded(exchange, path, surface.registry)) {
        surface.authorization.check(asker, attemptOf(verb, path));
      }
    }
    return handleResource(exchange, path, facts.account, surface, signal);
  }
  const review = findReview(segments);
  if (review !== null) {
    if (method !== 'POST') throw refuse.methodNotAllowed();
    const body = parseBody(await readBody(request), mediaTypeOf(request), `V1${review.kind}`);
    const may = (attempt: Attempt): boolean => asker === null || surface.authorization.allows(asker, attempt);
    return exchange.answer(201, answerTo(review, requireObject(body), may));
  }
  if (method !== 'GET' && method !== 'HEAD') throw refuse.methodNotAllowed();
  if (['/healthz', '/readyz', '/livez'].includes(exchange.path))
    return exchange.send(200, 'text/plain', 'ok');
  if (exchange.path === '/version') return exchange.answer(200, serverVersion);
  if (exchange.path === '/openapi/v2') return exchange.send(200, openApiV2.contentType, openApiV2.body);
  const described = openApi(exchange.path);
  if (described !== null) return exchange.answer(200, described);
  const found = discover(segments, request.headers.accept);
  if (found === null) {
    const group = segments[0] === 'api' ? segments.slice(0, 2) : segments.slice(0, 3);
    if (segments.length > group.length && discover(group, undefined) !== null) {
      throw new StatusError(404, 'NotFound', 'the server could not find the requested resource', {});
    }
    return exchange.send(404, 'text/plain; charset=utf-8', '404 page not found\n');
  }
  exchange.answer(200, found.body, 'json', found.contentType);
}

/** The request's verb as RBAC and audit logs name it. */
function verbOf({ method, query }: Exchange, { name }: ResourcePath): string {
  switch (method) {
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return name === '' ? 'deletecollection' : 'delete';
    default:
      if (['1', 'true', ''].includes(query.get('watch') ?? '0')) return 'watch';
      return name === '' ? 'list' : 'get';
  }
}

/** What `kubectl create token` asks for. The token holds as long as its account. */
function tokenRequest({ authorization, clock }: Surface, account: KubeObject): JsonObject {
  const expirationTimestamp = timestamp(clock.now() + tokenLifeMs);
  return {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name: account.metadata.name, namespace: account.metadata.namespace ?? '' },
    spec: { audiences: ['https://kubernetes.default.svc'], expirationSeconds: tokenLifeMs / 1000 },
    status: { token: authorization.issue(account), expirationTimestamp },
  };
}

/** A write that may create what is not there takes the right to do so, too. */
function verbsNeeded(exchange: Exchange, path: ResourcePath, registry: Registry): readonly string[] {
  const verb = verbOf(exchange, path);
  const mayCreate =
    verb === 'patch'
      ? mediaTypeOf(exchange.request) === applyType
      : verb === 'update' && path.definition.createsOnUpdate;
  return mayCreate && path.name !== '' && registry.find(path) === null ? [verb, 'create'] : [verb];
}

async function handleResource(
  exchange: Exchange,
  path: ResourcePath,
  account: string,
  surface: Surface,
  signal: AbortSignal,
): Promise<void> {
  const { registry, store, watches } = surface;
  const presentation = exchange.presentation();
  const include = (exchange.query.get('includeObject') || 'Metadata') as IncludeObject;
  const shown = presenter(path.definition, presentation, include, surface.clock.now());
  const answer = ({ object, created }: Written): void =>
    exchange.answer(created ? 201 : 200, shown.one(object), presentation.encoding);
  const verb = verbOf(exchange, path);
  if (!path.definition.verbs.includes(verb)) throw refuse.methodNotAllowed();
  if (path.definition.deprecation !== '') exchange.warn(path.definition.deprecation);
  const collection = path.name === '';
  const acrossNamespaces = path.definition.namespaced && path.namespace === '';
  switch (verb) {
    case 'list':
      return exchange.answer(
        200,
        shown.list(list(store, path, listQuery(exchange.query))),
        presentation.encoding,
      );
    case 'watch': {
      const query = listQuery(exchange.query);
      return watches.start({ path, query, presenter: shown, response: exchange.response, account });
    }
    case 'get':
      if (path.definition === pods && path.subresource === 'log') {
        return showLog(exchange, registry.get(path), surface, signal);
      }
      if (isScale(path)) return exchange.answer(200, scaleOf(registry.get(path)), presentation.encoding);
      subresourceOf(path);
      return exchange.answer(200, shown.one(registry.get(path)), presentation.encoding);
    case 'create':
      if (path.definition === serviceAccounts && path.subresource === 'token') {
        return exchange.answer(201, tokenRequest(surface, surface.registry.get(path)));
      }
      if (acrossNamespaces) throw refuse.methodNotAllowed();
      return answer(await create(exchange, path, registry));
    case 'update':
      if (collection) throw refuse.methodNotAllowed();
      if (isScale(path)) return exchange.answer(200, await rescale(exchange, path, registry));
      return answer(await replace(exchange, path, registry));
    case 'patch':
      if (collection) throw refuse.methodNotAllowed();
      if (isScale(path)) return exchange.answer(200, await rescale(exchange, path, registry));
      return answer(await patch(exchange, path, registry));
    case 'delete':
      if (path.subresource !== '') throw refuse.methodNotAllowed();
      return exchange.answer(200, await remove(exchange, path, registry), presentation.encoding);
    case 'deletecollection':
      if (acrossNamespaces) throw refuse.methodNotAllowed();
      return exchange.answer(
        200,
        shown.list(await removeCollection(exchange, path, registry, store)),
        presentation.encoding,
      );
    default:
      throw refuse.methodNotAllowed();
  }
}
