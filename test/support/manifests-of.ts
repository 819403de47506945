import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { load, loadAll } from 'js-yaml';
import type { KubeObject } from './kube-user.ts';

/** What is installed, read as files: with a `kubectl` on the PATH as it renders them, else one by one. */

export const deployFolder = resolve('deploy');

interface Kustomization {
  readonly resources?: readonly string[];
}

/** Every object that a kustomization leads to, as it stands in its file. */
export function objectsIn(folder: string): readonly KubeObject[] {
  return resourcesOf(folder).flatMap((path) =>
    existsSync(join(path, 'kustomization.yaml'))
      ? objectsIn(path)
      : (loadAll(readFileSync(path, 'utf8')) as KubeObject[]),
  );
}

/** Paths of what a kustomization names. */
export function resourcesOf(folder: string): readonly string[] {
  const { resources = [] } = load(readFileSync(join(folder, 'kustomization.yaml'), 'utf8')) as Kustomization;
  return resources.map((each) => join(folder, each));
}

/** The objects for an install in this namespace, as kustomize makes them. */
export function installedIn(namespace: string, objects: readonly KubeObject[]): readonly KubeObject[] {
  return objects.map((object) => ({
    ...object,
    metadata: { ...object.metadata, namespace },
    ...(Array.isArray(object.subjects) && {
      subjects: object.subjects.map((subject: object) => ({ ...subject, namespace })),
    }),
  }));
}

export function kubectlIsHere(): boolean {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export function rendered(folder: string): readonly KubeObject[] {
  return loadAll(execFileSync('kubectl', ['kustomize', folder], { encoding: 'utf8' })) as KubeObject[];
}
