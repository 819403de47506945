import { randomInt, randomUUID } from 'node:crypto';
import { equal, type JsonObject, type KubeObject, listAt, objectAt, objectsAt, textAt } from '../json.ts';
import type { ResourceDefinition } from '../resources/definition.ts';
import { checkName, checkQualifiedName } from '../resources/names.ts';
import { type Cause, StatusError, wrong } from '../status.ts';

/** Letters that cannot form words. */
const suffixLetters = 'bcdfghjklmnpqrstvwxz2456789';
const suffixLength = 5;
const maxGeneratedBaseLength = 63 - suffixLength;
/** All annotations of an object together. */
const maxAnnotationBytes = 256 * 1024;

/** RFC 3339 with whole seconds, as all stamps of metadata have them. */
export function timestamp(nowMs: number): string {
  return new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Gives a new object its server-made metadata. `object` is the caller's private copy. */
export function born(
  definition: ResourceDefinition,
  object: JsonObject,
  namespace: string,
  nowMs: number,
): KubeObject {
  const given = objectAt(object, 'metadata');
  if (textAt(given, 'resourceVersion') !== '') {
    // The real server has no reason for this one, and a 500.
    throw new StatusError(500, '', 'resourceVersion should not be set on objects to be created');
  }
  const generateName = textAt(given, 'generateName');
  const name =
    textAt(given, 'name') ||
    (generateName === '' ? '' : generateName.slice(0, maxGeneratedBaseLength) + suffix());
  const { resourceVersion, deletionTimestamp, deletionGracePeriodSeconds, selfLink, generation, ...kept } =
    given;
  const metadata = {
    ...kept,
    name,
    ...(definition.namespaced && { namespace }),
    uid: randomUUID(),
    creationTimestamp: timestamp(nowMs),
    ...(definition.countsGenerations && { generation: 1 }),
  };
  if (!definition.namespaced) delete (metadata as JsonObject).namespace;
  return { ...object, metadata } as unknown as KubeObject;
}

/** Carries over what a client cannot change. `candidate` is the caller's private copy. */
export function succeeded(old: KubeObject, candidate: JsonObject): KubeObject {
  const { selfLink, ...given } = objectAt(candidate, 'metadata');
  const { metadata } = old;
  return {
    ...candidate,
    metadata: {
      ...given,
      name: textAt(given, 'name') || metadata.name,
      ...(metadata.namespace !== undefined && {
        namespace: textAt(given, 'namespace') || metadata.namespace,
      }),
      uid: textAt(given, 'uid') || metadata.uid,
      creationTimestamp: metadata.creationTimestamp,
      resourceVersion: metadata.resourceVersion,
      ...keep('generation', metadata.generation),
      ...keep('deletionTimestamp', metadata.deletionTimestamp),
      ...keep('deletionGracePeriodSeconds', metadata.deletionGracePeriodSeconds),
    },
  } as unknown as KubeObject;
}

function keep(key: string, value: string | number | undefined): JsonObject {
  return value === undefined ? {} : { [key]: value };
}

function suffix(): string {
  return Array.from({ length: suffixLength }, () => suffixLetters[randomInt(suffixLetters.length)]).join('');
}

/** What is wrong with the metadata of a new or changed object. */
export function checkMetadata(
  definition: ResourceDefinition,
  object: KubeObject,
  old: KubeObject | null,
): Cause[] {
  const { metadata } = object;
  const causes: Cause[] = [];
  if (metadata.name === '') causes.push(wrong.required('metadata.name', 'name or generateName is required'));
  else if (old === null) {
    const { generateName = '' } = metadata;
    // A generated part follows, so the base may end with a hyphen.
    const base = checkObjectName(definition, generateName.replace(/-$/, 'a'), 'metadata.generateName');
    if (generateName !== '') causes.push(...base);
    causes.push(...checkObjectName(definition, metadata.name, 'metadata.name'));
  }
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    causes.push(...checkQualifiedName(key, 'metadata.labels'));
    causes.push(...checkName('labelValue', value, 'metadata.labels'));
  }
  let annotationBytes = 0;
  for (const [key, value] of Object.entries(metadata.annotations ?? {})) {
    causes.push(...checkQualifiedName(key.toLowerCase(), 'metadata.annotations'));
    annotationBytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (annotationBytes > maxAnnotationBytes)
    causes.push(wrong.tooLong('metadata.annotations', maxAnnotationBytes));
  for (const owner of objectsAt(metadata, 'ownerReferences')) {
    for (const key of ['apiVersion', 'kind', 'name', 'uid']) {
      if (textAt(owner, key) === '') {
        causes.push(wrong.invalid(`metadata.ownerReferences.${key}`, '', `must not be empty`));
      }
    }
  }
  if (objectsAt(metadata, 'ownerReferences').filter((owner) => owner.controller === true).length > 1) {
    causes.push(
      wrong.invalid(
        'metadata.ownerReferences',
        metadata.ownerReferences,
        'Only one reference can have Controller set to true',
      ),
    );
  }
  return old === null ? causes : [...causes, ...checkChange(object, old)];
}

function checkObjectName(definition: ResourceDefinition, name: string, field: string): Cause[] {
  if (definition.nameRule !== 'path-segment') return checkName(definition.nameRule, name, field);
  const bad = name === '.' || name === '..' || /[/%]/.test(name);
  return bad ? [wrong.invalid(field, name, "may not contain '/' or '%'")] : [];
}

function checkChange(object: KubeObject, old: KubeObject): Cause[] {
  const causes: Cause[] = [];
  for (const key of ['name', 'namespace', 'uid']) {
    if (object.metadata[key] !== old.metadata[key]) {
      causes.push(wrong.invalid(`metadata.${key}`, object.metadata[key], 'field is immutable'));
    }
  }
  if (old.metadata.deletionTimestamp !== undefined) {
    const had = listAt(old.metadata, 'finalizers');
    const added = listAt(object.metadata, 'finalizers').filter((finalizer) => !had.includes(finalizer));
    if (added.length > 0) {
      causes.push(
        wrong.forbidden(
          'metadata.finalizers',
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((each) => JSON.stringify(each)).join(', ')}}`,
        ),
      );
    }
  }
  return causes;
}

/** Whether anything but metadata and status differs: what `metadata.generation` counts. */
export function differsInSpec(left: KubeObject, right: KubeObject): boolean {
  return !equal({ ...left, metadata: null, status: null }, { ...right, metadata: null, status: null });
}
