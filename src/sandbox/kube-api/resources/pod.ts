import {
  at,
  type JsonObject,
  type KubeObject,
  listAt,
  numberAt,
  objectAt,
  objectsAt,
  setDefault,
  textAt,
} from '../json.ts';
import { wrong } from '../status.ts';
import { ageOf } from '../view/duration.ts';
import { column, define } from './definition.ts';
import { checkPodSpec, setPodDefaults } from './pod-template.ts';

/** Storage only: no pod runs here. Whoever plays the kubelet writes the status. */
export const pods = define({
  kind: 'Pod',
  plural: 'pods',
  shortNames: ['po'],
  categories: ['all'],
  model: 'V1Pod',
  hasStatus: true,
  countsGenerations: true,
  returnsDeleted: true,
  columns: [
    ...['Name', 'Ready', 'Status', 'Restarts', 'Age'].map((name) => column(name)),
    ...['IP', 'Node', 'Nominated Node', 'Readiness Gates'].map((name) => column(name, 'wide')),
  ],
  row: (pod, nowMs) => {
    const statuses = objectsAt(pod, 'status', 'containerStatuses');
    const ready = statuses.filter((status) => status.ready === true).length;
    const restarts = statuses.reduce((sum, status) => sum + (numberAt(status, 'restartCount') ?? 0), 0);
    return [
      pod.metadata.name,
      `${ready}/${listAt(pod, 'spec', 'containers').length}`,
      statusOf(pod),
      String(restarts),
      ageOf(pod.metadata.creationTimestamp, nowMs),
      textAt(pod, 'status', 'podIP') || '<none>',
      textAt(pod, 'spec', 'nodeName') || '<none>',
      textAt(pod, 'status', 'nominatedNodeName') || '<none>',
      '<none>',
    ];
  },
  fieldLabels: {
    'spec.nodeName': (pod) => textAt(pod, 'spec', 'nodeName'),
    'spec.restartPolicy': (pod) => textAt(pod, 'spec', 'restartPolicy'),
    'spec.schedulerName': (pod) => textAt(pod, 'spec', 'schedulerName'),
    'spec.serviceAccountName': (pod) => textAt(pod, 'spec', 'serviceAccountName'),
    'status.phase': (pod) => textAt(pod, 'status', 'phase'),
    'status.podIP': (pod) => textAt(pod, 'status', 'podIP'),
    'status.nominatedNodeName': (pod) => textAt(pod, 'status', 'nominatedNodeName'),
  },
  setDefaults: (pod) => {
    setDefault(pod, 'spec', {});
    const spec = objectAt(pod, 'spec');
    setPodDefaults(spec);
    setDefault(spec, 'enableServiceLinks', true);
  },
  prepare: (pod, old) => {
    if (old !== null) return;
    pod.status = { phase: 'Pending', qosClass: 'BestEffort' };
    const spec = objectAt(pod, 'spec');
    setDefault(spec, 'preemptionPolicy', 'PreemptLowerPriority');
    setDefault(spec, 'priority', 0);
    addTolerations(spec);
  },
  validate: (pod, old) => [
    ...checkPodSpec(objectAt(pod, 'spec'), 'spec'),
    ...(old !== null && listAt(pod, 'spec', 'containers').length !== listAt(old, 'spec', 'containers').length
      ? [wrong.forbidden('spec.containers', 'pod updates may not add or remove containers')]
      : []),
  ],
});

/** As the real server admits pods: they outlive a short absence of their node. */
function addTolerations(spec: JsonObject): void {
  const tolerations = objectsAt(spec, 'tolerations');
  for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
    if (tolerations.some((toleration) => toleration.key === key)) continue;
    tolerations.push({ effect: 'NoExecute', key, operator: 'Exists', tolerationSeconds: 300 });
  }
  spec.tolerations = tolerations;
}

/** The most telling word: why a container waits or ended, else the phase. */
function statusOf(pod: KubeObject): string {
  const phase = textAt(pod, 'status', 'phase');
  if (pod.metadata.deletionTimestamp !== undefined && phase !== 'Succeeded' && phase !== 'Failed') {
    return 'Terminating';
  }
  let word = textAt(pod, 'status', 'reason') || phase;
  for (const status of objectsAt(pod, 'status', 'containerStatuses').reverse()) {
    const ended = at(status, 'state', 'terminated');
    const waits = textAt(status, 'state', 'waiting', 'reason');
    if (waits !== '') word = waits;
    else if (ended !== undefined) word = textAt(ended, 'reason') || `ExitCode:${numberAt(ended, 'exitCode')}`;
  }
  return word;
}
