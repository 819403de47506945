import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { clearFaults, faultsShape, setFaults } from './admin-faults.ts';
import type { ControllerProcess } from './controller-process.ts';
import { type ThreadFault, threadFaults } from './thread-faults.ts';
import type { World } from './world.ts';

export interface AdminSettings {
  /** 0 for a free one. */
  readonly port: number;
  readonly world: World;
  /** Null when the controller is not the sandbox's. */
  readonly controller: ControllerProcess | null;
}

/** The sandbox's admin port. Owned by whoever started it. */
export interface Admin {
  readonly url: string;
  /** Idempotent. */
  stop(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

interface Route {
  readonly method: string;
  /** `{…}` is any one element, given to `answer` in order. */
  readonly path: string;
  readonly what: string;
  answer(elements: readonly string[], body: unknown): Promise<Answer>;
}

const maxBodyBytes = 64 << 10;
const maxShownCalls = 20;
const clockShape = z.strictObject({ shiftMs: z.int() });
const zoneShape = z.strictObject({ name: z.string().regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/) });

/** Serves the state of the sandbox and the switches for its faults, as JSON over HTTP on loopback. */
export async function startAdmin(settings: AdminSettings): Promise<Admin> {
  const routes = routesOf(settings);
  const server = createServer((request, response) => {
    respond(routes, request).then(
      ({ status, body }) => {
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(`${JSON.stringify(body, null, 2)}\n`);
      },
      // The client went away in the middle of its body.
      () => response.destroy(),
    );
  });
  server.listen(settings.port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => closed(server),
  };
}

function routesOf({ world, controller }: AdminSettings): Route[] {
  const running = (act: (process: ControllerProcess) => Promise<Answer>): Promise<Answer> =>
    controller === null
      ? Promise.resolve(refusal(409, 'the controller is not started by this sandbox'))
      : act(controller);
  const order = (name: string, what: string, act: (process: ControllerProcess) => Promise<void>): Route => ({
    method: 'POST',
    path: `/controller/${name}`,
    what,
    answer: () =>
      running(async (process) => {
        await act(process);
        return done(process.view());
      }),
  });
  const routes: Route[] = [
    {
      method: 'GET',
      path: '/',
      what: 'this list',
      answer: async () => done(routes.map(({ method, path, what }) => ({ method, path, what }))),
    },
    {
      method: 'GET',
      path: '/state',
      what: 'what there is now: tunnels, records, connections, calls, the controller',
      answer: async () => done(stateOf(world, controller)),
    },
    {
      method: 'POST',
      path: '/faults',
      what: 'sets faults of kubernetes, cloudflare, edge, origin; the README beside the sandbox lists them',
      answer: async (_elements, body) => {
        const faults = faultsShape.safeParse(body);
        if (!faults.success) return refusal(400, wrong(faults.error));
        const problem = await setFaults(world, faults.data);
        return problem === null ? done({}) : refusal(404, problem);
      },
    },
    {
      method: 'DELETE',
      path: '/faults',
      what: 'everything works again',
      answer: async () => {
        await clearFaults(world);
        return done({});
      },
    },
    {
      method: 'POST',
      path: '/zones',
      what: '{"name": "example.net"}: one more zone in the Cloudflare account',
      answer: async (_elements, body) => {
        const zone = zoneShape.safeParse(body);
        if (!zone.success) return refusal(400, wrong(zone.error));
        const { cloudflare } = world;
        if (cloudflare.zones.zones.some(({ name }) => name === zone.data.name)) return done({});
        return done({ id: cloudflare.zones.addZone(cloudflare.accountId, zone.data.name).id });
      },
    },
    {
      method: 'GET',
      path: '/threads',
      what: "the controller's threads; 0 is the main one",
      answer: () => running(async (process) => done(await process.threads())),
    },
    {
      method: 'POST',
      path: '/threads/{n}/{fault}',
      what: `lets a thread of the controller fail: ${Object.keys(threadFaults).join(', ')}`,
      answer: ([thread = '', fault = '']) =>
        running(async (process) => {
          if (!/^\d{1,9}$/.test(thread)) return refusal(404, `${thread}: expected the number of a thread`);
          if (!isThreadFault(fault)) {
            return refusal(404, `${fault}: expected one of ${Object.keys(threadFaults).join(', ')}`);
          }
          const found = await process.breakThread(Number(thread), fault);
          return found ? done({}) : refusal(404, `there is no thread ${thread}; GET /threads lists them`);
        }),
    },
    {
      method: 'GET',
      path: '/controller/memory',
      what: 'what its main thread holds after a garbage collection',
      answer: () => running(async (process) => done(await process.memory())),
    },
    {
      method: 'POST',
      path: '/controller/clock',
      what: '{"shiftMs": 3600000}: its wall clock jumps by so much; 0 is the right time again',
      answer: (_elements, body) =>
        running(async (process) => {
          const clock = clockShape.safeParse(body);
          if (!clock.success) return refusal(400, wrong(clock.error));
          await process.shiftWallClock(clock.data.shiftMs);
          return done({});
        }),
    },
    order('restart', 'asks it to end (SIGTERM), then starts it', (process) => process.restart()),
    order('kill', 'ends it at once (SIGKILL); it is started again', (process) => process.kill()),
    order('stop', 'asks it to end, and leaves it stopped', (process) => process.stop()),
    order('start', 'starts it after a stop', async (process) => process.start()),
  ];
  return routes;
}

async function respond(routes: readonly Route[], request: IncomingMessage): Promise<Answer> {
  const { pathname } = new URL(request.url ?? '/', 'http://admin');
  const body = await bodyOf(request);
  if (!body.ok) return refusal(400, body.problem);
  const matching = routes.flatMap((route) => {
    const elements = match(route.path, pathname);
    return elements === null ? [] : [{ route, elements }];
  });
  const found = matching.find(({ route }) => route.method === request.method);
  if (found === undefined) {
    if (matching.length === 0) return refusal(404, `${pathname} is not there; GET / lists what is`);
    const methods = matching.map(({ route }) => route.method).join(', ');
    return refusal(405, `${pathname}: expected ${methods}, got ${request.method}`);
  }
  try {
    return await found.route.answer(found.elements, body.value);
  } catch (error) {
    return refusal(503, error instanceof Error ? error.message : String(error));
  }
}

function stateOf({ kubernetes, cloudflare, edge, origin }: World, controller: ControllerProcess | null) {
  return {
    kubernetes: { url: kubernetes.url, watches: kubernetes.watchCount() },
    cloudflare: {
      url: cloudflare.url,
      tunnels: cloudflare.tunnels.live(cloudflare.accountId).map(({ id, name, connections }) => ({
        id,
        name,
        connections: connections.size,
      })),
      records: cloudflare.zones.zones.flatMap((zone) =>
        Array.from(zone.records.values(), ({ type, name, content }) => ({ type, name, content })),
      ),
      zones: cloudflare.zones.zones.map(({ name }) => name),
      lastCalls: cloudflare.calls.slice(-maxShownCalls),
    },
    edge: {
      tunnel: edge.tunnelAddress,
      front: edge.frontUrl,
      newConnections: edge.faults.newConnections,
      connections: edge.connections(),
    },
    origin: { url: origin.url, isUp: origin.isUp },
    controller: controller?.view() ?? null,
  };
}

type Body = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problem: string };

async function bodyOf(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes <= maxBodyBytes) chunks.push(chunk);
  }
  if (bytes > maxBodyBytes) return { ok: false, problem: `the body has more than ${maxBodyBytes} bytes` };
  if (bytes === 0) return { ok: true, value: undefined };
  try {
    return { ok: true, value: JSON.parse(Buffer.concat(chunks).toString('utf8')) };
  } catch {
    return { ok: false, problem: 'the body is not JSON' };
  }
}

/** The elements at the places of `{…}`; null when the path is another one. */
function match(pattern: string, pathname: string): string[] | null {
  const wanted = pattern.split('/');
  const given = pathname.split('/');
  if (wanted.length !== given.length) return null;
  const elements: string[] = [];
  for (const [index, element] of wanted.entries()) {
    if (element.startsWith('{')) elements.push(given[index]!);
    else if (element !== given[index]) return null;
  }
  return elements;
}

function isThreadFault(name: string): name is ThreadFault {
  return Object.hasOwn(threadFaults, name);
}

function done(body: unknown): Answer {
  return { status: 200, body };
}

function refusal(status: number, error: string): Answer {
  return { status, body: { error } };
}

function wrong(error: z.ZodError): string {
  return error.issues
    .map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': '))
    .join('; ');
}

async function closed(server: Server): Promise<void> {
  if (!server.listening) return;
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
}
