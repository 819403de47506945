#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { asksForHelp, type Environment } from './config/option-table.ts';
import {
  describeCleanupOptions,
  describePlanOptions,
  readCleanupConfig,
  readPlanConfig,
} from './config/overview.ts';
import { describeSandboxOptions, readSandboxConfig } from './config/sandbox.ts';
import { describeTunnelOptions, readTunnelConfig } from './config/tunnel.ts';
import { describeControllerOptions, readControllerConfig } from './config.ts';
import { giveExternalMemoryItsOwnLimit } from './external-memory.ts';
import { FaultError, fault, ok, type Result } from './fault.ts';
import { createLog, type Logger, type LogSettings } from './log.ts';
import { type Running, runUntilEnd } from './running.ts';

/** The process: one command, its settings, its signals, its exit code. */

interface Command {
  readonly summary: string;
  describeOptions(): string;
  /** Loads no more than this command needs, and that only once its settings are good. */
  prepare(argv: readonly string[], env: Environment, isTerminal: boolean): Result<Prepared>;
}

interface Prepared {
  /** The process' exit code, once all is over. */
  run(): Promise<number>;
}

const commands: Readonly<Record<string, Command>> = {
  controller: {
    summary: 'the ingress controller, in a cluster or against a kubeconfig',
    describeOptions: describeControllerOptions,
    prepare: (argv, env, isTerminal) =>
      staying(readControllerConfig(argv, env, isTerminal), async (config, log) => {
        const { runController } = await import('./controller.ts');
        return runController(config, log);
      }),
  },
  plan: {
    summary: 'what the controller would change at Cloudflare, and why an Ingress is not served',
    describeOptions: describePlanOptions,
    prepare: (argv, env) =>
      once(readPlanConfig(argv, env), async ({ controller, output }, signal) => {
        const { makePlan, printPlan } = await import('./plan.ts');
        const plan = await makePlan(controller, signal);
        if (!plan.ok) return plan;
        const exitCode = plan.value.changes.length === 0 ? 0 : 2;
        return ok({ text: printPlan(plan.value, output), exitCode });
      }),
  },
  cleanup: {
    summary: 'lists what this install left at Cloudflare without an owner; --delete removes it',
    describeOptions: describeCleanupOptions,
    prepare: (argv, env) =>
      once(readCleanupConfig(argv, env), async (config, signal) => {
        const { cleanUp, printCleanup } = await import('./cleanup.ts');
        const cleanup = await cleanUp(config, signal);
        if (!cleanup.ok) return cleanup;
        const { leftovers, failures } = cleanup.value;
        const exitCode = failures.length > 0 ? 1 : leftovers.every(({ removed }) => removed) ? 0 : 2;
        return ok({ text: printCleanup(cleanup.value, config.output), exitCode });
      }),
  },
  sandbox: {
    summary: 'the whole world on this machine, and the controller in it',
    describeOptions: describeSandboxOptions,
    prepare: (argv, env, isTerminal) =>
      staying(readSandboxConfig(argv, env, isTerminal), async (config, log) => {
        const { runSandbox } = await import('./sandbox/main.ts').catch(sandboxIsLeftOut);
        return runSandbox(config, log);
      }),
  },
  tunnel: {
    summary: 'one tunnel, nothing else: what a tunnel pod runs',
    describeOptions: describeTunnelOptions,
    prepare: (argv, env, isTerminal) =>
      staying(readTunnelConfig(argv, env, isTerminal), async (config, log) => {
        const { runTunnel } = await import('./tunnel-command.ts');
        return runTunnel(config, log);
      }),
  },
};

const usage = `Usage: warp-ingress COMMAND [FLAGS]

Commands:
${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(12)}${summary}\n`)
  .join('')}
  warp-ingress COMMAND --help   the flags of a command
  warp-ingress --version        the version
`;

const oldestNode = 24;

giveExternalMemoryItsOwnLimit();
process.exit(await main(process.argv.slice(2)));

async function main([name, ...argv]: readonly string[]): Promise<number> {
  if (name === '--help' || name === '-h') return print(usage);
  if (name === '--version') return print(`${version()}\n`);
  if (Number.parseInt(process.versions.node, 10) < oldestNode) {
    return refuse(
      `this is Node.js ${process.versions.node}: expected ${oldestNode} or newer, as npm start brings it`,
    );
  }
  if (name === undefined) return refuse('no command: expected one of the following', usage);
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    return refuse(
      `unknown command ${JSON.stringify(name)}: expected one of ${Object.keys(commands).join(', ')}`,
    );
  }
  if (asksForHelp(argv)) {
    return print(`warp-ingress ${name}: ${command.summary}\n\nFlags:\n${command.describeOptions()}`);
  }
  const ready = command.prepare(argv, process.env, process.stdout.isTTY === true);
  if (!ready.ok) return refuse(ready.fault.message);
  return ready.value.run();
}

/** A command that stays until it is stopped. */
function staying<C extends { readonly log: LogSettings }>(
  config: Result<C>,
  start: (config: C, log: Logger) => Promise<Running>,
): Result<Prepared> {
  if (!config.ok) return config;
  return ok({
    run: () => {
      const log = openLog(config.value.log);
      return runUntilEnd(() => start(config.value, log), process, log, refuse);
    },
  });
}

/**
 * A command that answers and ends: 0 when there is nothing to do, 2 when there is, 1 when it cannot tell. (2 is also
 * the code of a wrong setting; then there is a line on stderr and nothing on stdout.)
 */
function once<C>(
  config: Result<C>,
  work: (config: C, signal: AbortSignal) => Promise<Result<{ text: string; exitCode: 0 | 1 | 2 }>>,
): Result<Prepared> {
  if (!config.ok) return config;
  return ok({
    run: async () => {
      // Ctrl-C ends the process: what these commands write may be interrupted anywhere.
      const answer = await work(config.value, new AbortController().signal);
      if (!answer.ok) {
        const refused = refuse(answer.fault.message);
        return answer.fault.code === 'config-invalid' ? refused : 1;
      }
      const lost = await printed(answer.value.text);
      if (lost === null) return answer.value.exitCode;
      refuse(`the answer cannot be written: ${lost.message}`);
      return 1;
    },
  });
}

/** The image is built without the sandbox. */
function sandboxIsLeftOut(error: NodeJS.ErrnoException): never {
  const isLeftOut = error.code === 'ERR_MODULE_NOT_FOUND' && error.message.includes('sandbox/main.js');
  throw isLeftOut ? new FaultError(fault('config-invalid', 'this build has no sandbox')) : error;
}

/** The image is also built without the prettifier: on a terminal in a pod there are plain lines. */
function openLog(settings: LogSettings): Logger {
  try {
    return createLog(settings);
  } catch {
    return createLog({ ...settings, format: 'json' });
  }
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return String(version);
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

/** Why the text could not be written, or null. A reader that goes early (`| head`) has had what it wanted. */
function printed(text: string): Promise<Error | null> {
  return new Promise((resolve) => {
    process.stdout.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'EPIPE' ? null : error),
    );
    process.stdout.write(text, (error) => {
      if (!error) resolve(null);
    });
  });
}

function refuse(message: string, more = ''): number {
  process.stderr.write(`warp-ingress: ${message}\n${more}`);
  return 2;
}
