import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SandboxConfig } from '../config/sandbox.ts';
import { type Fault, FaultError, fault, faultOf } from '../fault.ts';
import type { Logger } from '../log.ts';
import type { Running } from '../running.ts';
import { systemClock } from '../time/clock.ts';
import { type Admin, startAdmin } from './admin.ts';
import { controllerArguments } from './controller-arguments.ts';
import { type ControllerLog, openControllerLog } from './controller-log.ts';
import { ControllerProcess } from './controller-process.ts';
import { firstVisit } from './first-visit.ts';
import { freePort } from './free-port.ts';
import { removeReadyFile, writeReadyFile } from './ready-file.ts';
import { applySample, sampleHost, sampleName } from './sample.ts';
import { startWorld, type World } from './world.ts';

/** When nothing has been served after this long, the user is told where to look. */
const hintAfterMs = 20_000;

/**
 * `warp-ingress sandbox`: starts the world and the controller in it, serves a sample, says where everything is,
 * and stays until it is stopped. Owns all that it starts: processes, listeners, files.
 */
export async function runSandbox(config: SandboxConfig, log: Logger): Promise<Running> {
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  if (config.readyFile !== null) await removeReadyFile(config.readyFile);
  const world = await startWorld({
    ports: config.ports,
    onProblem: (reason) => log.warn({ reason }, 'sandbox problem'),
  }).catch(cannotListen);
  // Also when this process ends without asking (a second Ctrl-C), nothing stays behind.
  const removeFiles = (): void => rmSync(world.files.directory, { recursive: true, force: true });
  process.once('exit', removeFiles);
  // A terminal that is closed would end this process without a word, and leave the controller behind.
  const hangUp = (): void => void process.kill(process.pid, 'SIGTERM');
  process.once('SIGHUP', hangUp);
  const stopping = new AbortController();
  const ended = Promise.withResolvers<Fault | null>();
  let controller: Controller | null = null;
  let admin: Admin | null = null;

  const end = async (): Promise<void> => {
    stopping.abort(new Error('the sandbox stops'));
    if (config.readyFile !== null) await removeReadyFile(config.readyFile);
    await controller?.process.stop();
    await controller?.log.close();
    await admin?.stop();
    await world.stop();
    process.removeListener('exit', removeFiles);
    process.removeListener('SIGHUP', hangUp);
    ended.resolve(null);
  };
  let isEnded: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    isEnded ??= end();
    return isEnded;
  };

  try {
    await applySample(world.kubernetes, world.namespace, world.origin.port);
    if (config.only === null) controller = await createController(world, config, say);
    admin = await startAdmin({ port: config.ports.admin, world, controller: controller?.process ?? null });
    const metricsUrl = controller?.metricsUrl ?? null;
    say(whereThingsAre(world, admin.url, controller));
    const ready = async (): Promise<void> => {
      if (config.readyFile === null) return;
      await writeReadyFile(config.readyFile, { world, adminUrl: admin!.url, metricsUrl });
    };
    if (controller === null) {
      say(howToStartByHand(world));
      await ready();
    } else {
      controller.process.start();
      // Not awaited: the sandbox is up, can be stopped and broken, while the first answer is on its way.
      showSample(world, controller.log, stopping.signal, say)
        .then(async () => {
          await ready();
          say(whatToTryNext(world, admin!.url));
        })
        .catch((error: unknown) => {
          if (!stopping.signal.aborted) ended.resolve(faultOf(error));
        });
    }
  } catch (error) {
    await stop();
    return cannotListen(error);
  }
  return { stop, ended: ended.promise };
}

interface Controller {
  readonly process: ControllerProcess;
  readonly log: ControllerLog;
  readonly metricsUrl: string;
}

async function createController(
  world: World,
  config: SandboxConfig,
  say: (text: string) => void,
): Promise<Controller> {
  // Chosen here, so that it is the same after a restart.
  const port = config.ports.metrics === 0 ? await freePort() : config.ports.metrics;
  const log = openControllerLog(join(world.files.directory, 'controller.log'), (text) =>
    say(`controller ${text}`),
  );
  const command = [
    fileURLToPath(new URL('../main.js', import.meta.url)),
    ...controllerArguments(world),
    ...['--metrics', `127.0.0.1:${port}`, '--log-level', config.log.level, '--log-format', 'json'],
  ];
  return {
    process: new ControllerProcess({ command, onLine: (line) => log.line(line), onNews: say }),
    log,
    metricsUrl: `http://127.0.0.1:${port}`,
  };
}

async function showSample(
  { edge }: World,
  log: ControllerLog,
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<void> {
  say(`Applied Service, EndpointSlice and Ingress "${sampleName}"; waiting until ${sampleHost} is served …`);
  const hint = systemClock.after(hintAfterMs, () =>
    say(`still waiting; kubectl describe ingress ${sampleName} and ${log.path} say why`),
  );
  const startMs = systemClock.monotonic();
  try {
    const { status, body } = await firstVisit(edge.frontUrl, sampleHost, systemClock, signal);
    const seconds = ((systemClock.monotonic() - startMs) / 1000).toFixed(1);
    say(
      `\nGET / from ${sampleHost}, edge → tunnel → worker thread → Service, ${seconds} s after the start:\n`,
    );
    say([`HTTP ${status}`, ...body.trimEnd().split('\n')].map((line) => `  | ${line}`.trimEnd()).join('\n'));
  } finally {
    hint.cancel();
  }
}

function whereThingsAre(world: World, adminUrl: string, controller: Controller | null): string {
  const { kubernetes, cloudflare, edge, origin, files } = world;
  const rows = [
    ['Kubernetes API', kubernetes.url],
    ['Cloudflare API', cloudflare.url],
    ['edge, for tunnels', edge.tunnelAddress],
    ['edge, for visitors', edge.frontUrl],
    ['sample application', origin.url],
    ...(controller === null
      ? []
      : [
          ['controller', controller.metricsUrl],
          ["controller's log", controller.log.path],
        ]),
    ['admin port', adminUrl],
    ['kubeconfig', files.kubeconfig],
    ['cert.pem', files.originCert],
    ["edge's CA", files.edgeCa],
  ] as const;
  const table = rows.map(([name, value]) => `  ${name!.padEnd(20)}${value}`);
  return ['The sandbox: everything here runs on this machine.', '', ...table, ''].join('\n');
}

function whatToTryNext({ edge, files }: World, adminUrl: string): string {
  return `
Try next, in another terminal:

  export KUBECONFIG=${files.kubeconfig}
  kubectl get ingress
  kubectl describe ingress ${sampleName}
  curl -H 'Host: ${sampleHost}' ${edge.frontUrl}/
  curl ${adminUrl}/state
  curl -d '{"edge": {"cut": true}}' ${adminUrl}/faults
  curl ${adminUrl}/          what else can be broken

Ctrl-C ends everything.`;
}

function howToStartByHand(world: World): string {
  const words = ['node', 'dist/src/main.js', ...controllerArguments(world), '--metrics', '127.0.0.1:9090'];
  return `Applied Service, EndpointSlice and Ingress "${sampleName}". A controller can be started by hand:

  ${words.join(' ').replaceAll(' --', ' \\\n    --')}

Ctrl-C ends everything but that controller.`;
}

/** A port that is taken is the user's to change, not a bug. */
function cannotListen(error: unknown): never {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== 'EADDRINUSE' && code !== 'EACCES') throw error;
  throw new FaultError(fault('config-invalid', `${message}: expected a free port`));
}
