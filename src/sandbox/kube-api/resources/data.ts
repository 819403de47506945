import { equal, type Json, type JsonObject, type KubeObject, objectAt, setDefault, textAt } from '../json.ts';
import { type Cause, wrong } from '../status.ts';
import { ageOf } from '../view/duration.ts';
import { column, define } from './definition.ts';
import { checkName } from './names.ts';

/** All values of a Secret or ConfigMap together. */
const maxDataBytes = 1024 * 1024;

export const secrets = define({
  kind: 'Secret',
  plural: 'secrets',
  model: 'V1Secret',
  columns: ['Name', 'Type', 'Data', 'Age'].map((name) => column(name)),
  row: (secret, nowMs) => [
    secret.metadata.name,
    textAt(secret, 'type'),
    Object.keys(objectAt(secret, 'data')).length,
    ageOf(secret.metadata.creationTimestamp, nowMs),
  ],
  fieldLabels: { type: (secret) => textAt(secret, 'type') },
  setDefaults: (secret) => {
    setDefault(secret, 'type', 'Opaque');
    const plain = objectAt(secret, 'stringData');
    const encoded = Object.entries(plain).map(([key, text]) => [
      key,
      Buffer.from(String(text)).toString('base64'),
    ]);
    if (encoded.length > 0) secret.data = { ...objectAt(secret, 'data'), ...Object.fromEntries(encoded) };
    delete secret.stringData;
  },
  validate: (secret, old) => [
    ...checkKeys(objectAt(secret, 'data'), 'data'),
    ...checkSize(secret, ['data'], 'data'),
    ...checkSecretType(secret),
    ...(old !== null && old.type !== secret.type
      ? [wrong.invalid('type', secret.type, 'field is immutable')]
      : []),
    ...checkImmutable(secret, old, ['data']),
  ],
});

export const configMaps = define({
  kind: 'ConfigMap',
  plural: 'configmaps',
  shortNames: ['cm'],
  model: 'V1ConfigMap',
  columns: ['Name', 'Data', 'Age'].map((name) => column(name)),
  row: (map, nowMs) => [
    map.metadata.name,
    Object.keys(objectAt(map, 'data')).length + Object.keys(objectAt(map, 'binaryData')).length,
    ageOf(map.metadata.creationTimestamp, nowMs),
  ],
  validate: (map, old) => [
    ...checkKeys(objectAt(map, 'data'), 'data'),
    ...checkKeys(objectAt(map, 'binaryData'), 'binaryData'),
    ...Object.keys(objectAt(map, 'binaryData'))
      .filter((key) => key in objectAt(map, 'data'))
      .map((key) => wrong.invalid(`data[${key}]`, key, 'duplicate of key present in binaryData')),
    ...checkSize(map, ['data', 'binaryData'], ''),
    ...checkImmutable(map, old, ['data', 'binaryData']),
  ],
});

function checkKeys(data: JsonObject, field: string): Cause[] {
  return Object.keys(data).flatMap((key) => checkName('configKey', key, `${field}[${key}]`));
}

function checkSize(object: KubeObject, fields: readonly string[], field: string): Cause[] {
  const values: (Json | undefined)[] = fields.flatMap((name) => Object.values(objectAt(object, name)));
  const bytes = values.reduce<number>((sum, value) => sum + Buffer.byteLength(String(value)), 0);
  return bytes > maxDataBytes ? [wrong.tooLong(field, maxDataBytes)] : [];
}

/** Keys that the well-known types must have. */
const requiredKeys: ReadonlyMap<string, readonly string[]> = new Map([
  ['kubernetes.io/tls', ['tls.crt', 'tls.key']],
  ['kubernetes.io/ssh-auth', ['ssh-privatekey']],
  ['kubernetes.io/dockerconfigjson', ['.dockerconfigjson']],
  ['kubernetes.io/dockercfg', ['.dockercfg']],
]);

function checkSecretType(secret: KubeObject): Cause[] {
  const data = objectAt(secret, 'data');
  return (requiredKeys.get(textAt(secret, 'type')) ?? [])
    .filter((key) => data[key] === undefined)
    .map((key) => wrong.required(`data[${key}]`));
}

function checkImmutable(object: KubeObject, old: KubeObject | null, fields: readonly string[]): Cause[] {
  if (old === null || old.immutable !== true) return [];
  const causes: Cause[] = [];
  if (object.immutable !== true) {
    causes.push(wrong.forbidden('immutable', 'field is immutable when `immutable` is set'));
  }
  for (const field of fields) {
    if (!equal(object[field], old[field])) {
      causes.push(wrong.forbidden(field, 'field is immutable when `immutable` is set'));
    }
  }
  return causes;
}
