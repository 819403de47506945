import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type Json,
  type JsonObject,
  type KubeObject,
  objectAt,
  objectsAt,
  textAt,
} from '../kube-api/json.ts';
import type { KubeApi } from '../kube-api/kube-api.ts';
import { configMaps, secrets } from '../kube-api/resources/data.ts';

/**
 * Lays the volumes of a pod out as files below `directory`, a folder each: Secrets, ConfigMaps, the downward API, empty
 * ones. Answers what is missing, or null when all is there.
 */
export async function layVolumes(api: KubeApi, pod: KubeObject, directory: string): Promise<string | null> {
  for (const volume of objectsAt(pod, 'spec', 'volumes')) {
    const files = filesOf(api, pod, volume);
    if (typeof files === 'string') return files;
    const folder = join(directory, textAt(volume, 'name'));
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const [path, content] of files) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), content, { mode: 0o600 });
    }
  }
  return null;
}

type Files = ReadonlyMap<string, string | Buffer>;

function filesOf(api: KubeApi, pod: KubeObject, volume: JsonObject): Files | string {
  const { namespace = '' } = pod.metadata;
  if (volume.secret !== undefined) {
    const name = textAt(volume, 'secret', 'secretName');
    const secret = api.store.get(secrets.storage, namespace, name);
    if (secret === null) return `secret "${name}" not found`;
    return chosen(objectAt(secret, 'data'), objectAt(volume, 'secret'), (text) =>
      Buffer.from(text, 'base64'),
    );
  }
  if (volume.configMap !== undefined) {
    const name = textAt(volume, 'configMap', 'name');
    const map = api.store.get(configMaps.storage, namespace, name);
    if (map === null) return `configmap "${name}" not found`;
    return chosen(objectAt(map, 'data'), objectAt(volume, 'configMap'), (text) => Buffer.from(text));
  }
  const items = objectsAt(volume, 'downwardAPI', 'items');
  return new Map(
    items.map((item) => [textAt(item, 'path'), fieldOf(pod, textAt(item, 'fieldRef', 'fieldPath'))]),
  );
}

/** All keys, or those that `items` names under the paths that it gives. */
function chosen(data: JsonObject, source: JsonObject, read: (text: string) => Buffer): Files | string {
  const items = objectsAt(source, 'items');
  const wanted =
    items.length > 0
      ? items.map((item) => [textAt(item, 'key'), textAt(item, 'path')] as const)
      : Object.keys(data).map((key) => [key, key] as const);
  const missing = wanted.find(([key]) => typeof data[key] !== 'string');
  if (missing !== undefined) return `references non-existent secret or configmap key: ${missing[0]}`;
  return new Map(wanted.map(([key, path]) => [path, read(String(data[key]))]));
}

/** `metadata.name`, `status.podIP`, `metadata.annotations['key']`. */
export function fieldOf(pod: KubeObject, fieldPath: string): string {
  const [, field, key] = /^metadata\.(annotations|labels)\['(.+)'\]$/.exec(fieldPath) ?? [];
  if (field !== undefined) return textAt(objectAt(pod, 'metadata', field), key!);
  return textAt(pod as Json, ...fieldPath.split('.'));
}
