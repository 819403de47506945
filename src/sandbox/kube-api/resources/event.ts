import { type Json, type JsonObject, type KubeObject, numberAt, objectAt, textAt } from '../json.ts';
import { type Cause, wrong } from '../status.ts';
import { ageOf } from '../view/duration.ts';
import { column, define, type ResourceDefinition } from './definition.ts';
import { checkQualifiedName } from './names.ts';

/** Lengths that the real server allows. */
const maxNameLength = 128;
const maxNoteLength = 1024;

const involved = (key: string) => (event: KubeObject) => textAt(event, 'involvedObject', key);

const fieldLabels: ResourceDefinition['fieldLabels'] = {
  'involvedObject.kind': involved('kind'),
  'involvedObject.namespace': involved('namespace'),
  'involvedObject.name': involved('name'),
  'involvedObject.uid': involved('uid'),
  'involvedObject.apiVersion': involved('apiVersion'),
  'involvedObject.resourceVersion': involved('resourceVersion'),
  'involvedObject.fieldPath': involved('fieldPath'),
  reason: (event) => textAt(event, 'reason'),
  reportingComponent: (event) => textAt(event, 'reportingComponent'),
  source: (event) => textAt(event, 'source', 'component') || textAt(event, 'reportingComponent'),
  type: (event) => textAt(event, 'type'),
};

/** Events are stored as core/v1 has them; `events.k8s.io/v1` is another view of the same objects. */
const common = {
  kind: 'Event',
  plural: 'events',
  shortNames: ['ev'],
  storage: 'events',
  createsOnUpdate: true,
  columns: [
    ...['Last Seen', 'Type', 'Reason', 'Object'].map((name) => column(name)),
    column('Subobject', 'wide'),
    column('Source', 'wide'),
    column('Message'),
    column('First Seen', 'wide'),
    column('Count', 'wide'),
    column('Name', 'wide'),
  ],
  row,
  fieldLabels,
} as const;

export const coreEvents = define({
  ...common,
  model: 'CoreV1Event',
  setDefaults: (event) => {
    event.source = objectAt(event, 'source');
    event.involvedObject = objectAt(event, 'involvedObject');
    for (const key of ['firstTimestamp', 'lastTimestamp', 'eventTime']) event[key] ??= null;
    event.reportingComponent ??= '';
    event.reportingInstance ??= '';
  },
  validate: (event) => checkLegacy(event),
});

export const groupEvents = define({
  ...common,
  group: 'events.k8s.io',
  model: 'EventsV1Event',
  validate: (event, old) => [...checkLegacy(event), ...(old === null ? checkStrict(event) : [])],
  toStored,
  fromStored,
});

/** Name in `events.k8s.io/v1`, name in `v1`. */
const renamed = [
  ['note', 'message'],
  ['regarding', 'involvedObject'],
  ['reportingController', 'reportingComponent'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
] as const;

function toStored(event: JsonObject): JsonObject {
  const stored: JsonObject = { ...event, apiVersion: 'v1' };
  for (const [shown, kept] of renamed) {
    if (stored[shown] !== undefined) stored[kept] = stored[shown];
    delete stored[shown];
  }
  coreEvents.setDefaults(stored);
  return stored;
}

function fromStored(stored: KubeObject): KubeObject {
  const event: KubeObject = { ...stored, apiVersion: 'events.k8s.io/v1' };
  for (const [shown, kept] of renamed) {
    if (event[kept] !== undefined && event[kept] !== '') event[shown] = event[kept];
    delete event[kept];
  }
  if (event.reportingInstance === '') delete event.reportingInstance;
  return event;
}

function row(event: KubeObject, nowMs: number) {
  const age = (value: Json | undefined): string => ageOf(typeof value === 'string' ? value : '', nowMs);
  const series = objectAt(event, 'series');
  const first = age(event.firstTimestamp || event.eventTime);
  const last = event.series
    ? age(series.lastObservedTime)
    : event.lastTimestamp
      ? age(event.lastTimestamp)
      : first;
  const kind = textAt(event, 'involvedObject', 'kind').toLowerCase();
  const name = textAt(event, 'involvedObject', 'name');
  return [
    last,
    textAt(event, 'type'),
    textAt(event, 'reason'),
    name === '' ? kind : `${kind}/${name}`,
    textAt(event, 'involvedObject', 'fieldPath'),
    sourceOf(event),
    textAt(event, 'message').trim(),
    first,
    (event.series ? numberAt(series, 'count') : numberAt(event, 'count')) || 1,
    event.metadata.name,
  ];
}

function sourceOf(event: KubeObject): string {
  const component = textAt(event, 'source', 'component') || textAt(event, 'reportingComponent');
  const host = textAt(event, 'source', 'host') || textAt(event, 'reportingInstance');
  return [component, host].filter((part) => part !== '').join(', ');
}

/** An event of the old kind has no `eventTime`; one with it must be complete. */
function checkLegacy(event: KubeObject): Cause[] {
  const namespace = event.metadata.namespace ?? '';
  const concerned = textAt(event, 'involvedObject', 'namespace');
  const causes: Cause[] = [];
  if (!event.eventTime) {
    const agrees = concerned === namespace || (concerned === '' && namespace === 'default');
    if (!agrees) {
      causes.push(wrong.invalid('involvedObject.namespace', concerned, 'does not match event.namespace'));
    }
    return causes;
  }
  if (concerned === '' && namespace !== 'default' && namespace !== 'kube-system') {
    causes.push(wrong.invalid('involvedObject.namespace', concerned, 'does not match event.namespace'));
  }
  const component = textAt(event, 'reportingComponent');
  if (component === '') causes.push(wrong.required('reportingController'));
  causes.push(...checkQualifiedName(component, 'reportingController'));
  for (const field of ['reportingInstance', 'action', 'reason']) {
    const text = textAt(event, field);
    if (text === '') causes.push(wrong.required(field));
    if (text.length > maxNameLength) {
      causes.push(wrong.invalid(field, '', `can have at most ${maxNameLength} characters`));
    }
  }
  if (textAt(event, 'message').length > maxNoteLength) {
    causes.push(wrong.invalid('message', '', `can have at most ${maxNoteLength} characters`));
  }
  return causes;
}

function checkStrict(event: KubeObject): Cause[] {
  const type = textAt(event, 'type');
  return [
    ...(event.eventTime ? [] : [wrong.required('eventTime')]),
    ...(['Normal', 'Warning'].includes(type)
      ? []
      : [wrong.invalid('type', '', `has invalid value: ${type}`)]),
    ...['firstTimestamp', 'lastTimestamp', 'count']
      .filter((field) => event[field])
      .map((field) => wrong.invalid(field, '', 'needs to be unset')),
  ];
}
