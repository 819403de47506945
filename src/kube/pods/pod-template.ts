import { z } from 'zod';
import { failed, ok, type Result } from '../../fault.ts';

/**
 * What an install changes in the template of tunnel pods (`--pod-template FILE`): a part of a PodTemplateSpec that
 * is merged over ours. Objects are merged by key (null removes one), the lists below element by element; any other
 * list, such as `tolerations`, replaces the one that there is.
 */
export type PodTemplate = Readonly<Record<string, unknown>>;

/** Lists of the API whose elements have a key (Kubernetes' strategic merge patch). */
export const keyOfList: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  volumes: 'name',
  env: 'name',
  imagePullSecrets: 'name',
  volumeMounts: 'mountPath',
  ports: 'containerPort',
};

const anything = z.record(z.string(), z.unknown());
const texts = z.record(z.string(), z.string());
const keyed = z.array(z.looseObject({ name: z.string() }));
const shape = z.strictObject({
  metadata: z.strictObject({ labels: texts, annotations: texts }).partial().optional(),
  spec: z.looseObject({ containers: keyed, initContainers: keyed, volumes: keyed }).partial().optional(),
});

/** The connector's container, beside which there may be others. */
export const tunnelContainer = 'tunnel';

/** What is the controller's own to say. */
const ownPrefix = 'cloudflare-warp/';

/** For refusals: whichever of the two has named the file. */
export const podTemplateSetting = '--pod-template (WARP_POD_TEMPLATE)';

const fixed = ['args', 'command', 'ports'];

/** The template in a file of JSON; the message says what was expected and where. */
export function parsePodTemplate(text: string): Result<PodTemplate> {
  const refuse = (why: string): Result<never> => failed('config-invalid', `${podTemplateSetting}: ${why}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    return refuse(`not JSON: ${(thrown as Error).message}`);
  }
  const parsed = shape.safeParse(value);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    return refuse(`${path.join('.') || 'the whole'}: ${message}; expected part of a pod template`);
  }
  const { metadata = {}, spec = {} } = parsed.data;
  for (const [kind, own] of [
    ['labels', [ownPrefix, 'app.kubernetes.io/name']],
    ['annotations', [ownPrefix]],
  ] as const) {
    const key = Object.keys(metadata[kind] ?? {}).find((each) =>
      own.some((prefix) => each.startsWith(prefix)),
    );
    if (key !== undefined) return refuse(`metadata.${kind}: "${key}" is the controller's own`);
  }
  for (const each of spec.containers ?? []) {
    const named = `spec.containers[name=${each.name}]`;
    if (each.name !== tunnelContainer) {
      if (typeof each.image !== 'string')
        return refuse(`${named}: expected an image, or the name "${tunnelContainer}"`);
      continue;
    }
    const key = fixed.find((field) => field in each);
    if (key !== undefined) return refuse(`${named}.${key}: the controller's own, expected it to be left out`);
  }
  return ok(parsed.data);
}

/** Pure; neither of the two is changed. */
export function mergeTemplate(template: object, over: PodTemplate | null): object {
  return over === null ? template : mergeObject(anything.parse(template), over);
}

type Fields = Readonly<Record<string, unknown>>;

function mergeObject(base: Fields, over: Fields): Fields {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (value === null) delete merged[key];
    else merged[key] = mergeValue(key, base[key], value);
  }
  return merged;
}

function mergeValue(field: string, base: unknown, over: unknown): unknown {
  if (isFields(base) && isFields(over)) return mergeObject(base, over);
  const key = keyOfList[field];
  if (key === undefined || !Array.isArray(base) || !Array.isArray(over)) return over;
  const rest = [...over];
  const merged = base.map((element) => {
    const at = rest.findIndex((other) => isFields(other) && isFields(element) && other[key] === element[key]);
    return at < 0 ? element : mergeObject(element, rest.splice(at, 1)[0]);
  });
  return [...merged, ...rest];
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
