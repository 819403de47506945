import { ok, type Result } from '../fault.ts';
import type { LogSettings } from '../log.ts';
import { logOptions, logSettings } from './connector-options.ts';
import { describeOptions, type Environment, notGiven, option, readOptions } from './option-table.ts';
import { filePath, oneOf, wholeNumber } from './value-kinds.ts';

/** The settings of `sandbox`. */
export interface SandboxConfig {
  /** Written once everything serves. */
  readonly readyFile: string | null;
  /** `world`: all but the controller. */
  readonly only: 'world' | null;
  /** On loopback; 0 is any free one. */
  readonly ports: SandboxPorts;
  readonly log: LogSettings;
}

export interface SandboxPorts {
  readonly kubernetes: number;
  readonly cloudflareApi: number;
  /** Where connectors dial. */
  readonly edge: number;
  /** The edge's public side. */
  readonly front: number;
  readonly admin: number;
  /** The controller's. */
  readonly metrics: number;
}

const options = {
  readyFile: option(
    'ready-file',
    null,
    filePath,
    notGiven,
    'written once everything serves: where each thing is, as JSON',
  ),
  only: option('only', null, oneOf('world'), notGiven, 'starts all but the controller'),
  kubernetes: port('kubernetes-port', 'the Kubernetes API'),
  cloudflareApi: port('cloudflare-port', 'the Cloudflare API'),
  edge: port('edge-port', 'the edge, where tunnels connect'),
  front: port('front-port', 'the edge, where visitors connect'),
  admin: port('admin-port', 'the switches for faults'),
  metrics: port('metrics-port', "the controller's /readyz and /metrics"),
  ...logOptions,
};

export function readSandboxConfig(
  argv: readonly string[],
  env: Environment,
  isTerminal: boolean,
): Result<SandboxConfig> {
  const settings = readOptions(options, argv, env);
  if (!settings.ok) return settings;
  const { readyFile, only, logLevel, logFormat, ...ports } = settings.value.value;
  return ok({ readyFile, only, ports, log: logSettings({ logLevel, logFormat }, isTerminal) });
}

export function describeSandboxOptions(): string {
  return describeOptions(options);
}

function port(flag: string, what: string) {
  return option(flag, null, wholeNumber(0, 65_535), { value: 0, text: 'any free one' }, `port of ${what}`);
}
