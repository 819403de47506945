import { type ControllerConfig, controllerConfig, controllerOptions } from '../config.ts';
import { ok, type Result } from '../fault.ts';
import { describeOptions, type Environment, type Option, option, readOptions } from './option-table.ts';
import { oneOf } from './value-kinds.ts';

/**
 * The settings of `plan` and `cleanup`: those of the controller, so that what starts it starts these too and all
 * three mean the same install, and the form of the answer.
 */

export type Output = 'table' | 'json';

export interface PlanConfig {
  readonly controller: ControllerConfig;
  readonly output: Output;
}

export interface CleanupConfig extends PlanConfig {
  /** Remove what is listed. */
  readonly deletes: boolean;
}

const planOptions = {
  output: option(
    'output',
    null,
    oneOf('table', 'json'),
    { value: 'table', text: 'table' },
    'for people or for machines',
  ),
  ...controllerOptions,
};

const deletes: Option<boolean> = {
  flag: 'delete',
  env: null,
  kind: {
    placeholder: 'true|false',
    expected: 'one of true, false',
    read: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
  },
  default: false,
  defaultText: 'only list it',
  help: 'remove what is listed, records first',
  isSwitch: true,
};

const cleanupOptions = { deletes, ...planOptions };

export function readPlanConfig(argv: readonly string[], env: Environment): Result<PlanConfig> {
  const settings = readOptions(planOptions, argv, env);
  if (!settings.ok) return settings;
  const controller = controllerConfig(settings.value, false);
  return controller.ok
    ? ok({ controller: controller.value, output: settings.value.value.output })
    : controller;
}

export function readCleanupConfig(argv: readonly string[], env: Environment): Result<CleanupConfig> {
  const settings = readOptions(cleanupOptions, argv, env);
  if (!settings.ok) return settings;
  const controller = controllerConfig(settings.value, false);
  if (!controller.ok) return controller;
  const { output, deletes } = settings.value.value;
  return ok({ controller: controller.value, output, deletes });
}

export function describePlanOptions(): string {
  return describeOptions(planOptions);
}

export function describeCleanupOptions(): string {
  return describeOptions(cleanupOptions);
}
