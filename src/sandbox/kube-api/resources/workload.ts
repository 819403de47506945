import { equal, type KubeObject, numberAt, objectAt, setDefault } from '../json.ts';
import { type Cause, wrong } from '../status.ts';
import { ageOf } from '../view/duration.ts';
import { column, define } from './definition.ts';
import { checkTemplate, containerCells, labelSelectorText, setPodDefaults } from './pod-template.ts';

const wideColumns = ['Containers', 'Images', 'Selector'].map((name) => column(name, 'wide'));

/** Storage only: no controller rolls them out here. */
export const deployments = define({
  group: 'apps',
  kind: 'Deployment',
  plural: 'deployments',
  shortNames: ['deploy'],
  categories: ['all'],
  model: 'V1Deployment',
  hasStatus: true,
  scales: true,
  countsGenerations: true,
  columns: [
    ...['Name', 'Ready', 'Up-to-date', 'Available', 'Age'].map((name) => column(name)),
    ...wideColumns,
  ],
  row: (deployment, nowMs) => [
    deployment.metadata.name,
    `${statusNumber(deployment, 'readyReplicas')}/${numberAt(deployment, 'spec', 'replicas') ?? 0}`,
    statusNumber(deployment, 'updatedReplicas'),
    statusNumber(deployment, 'availableReplicas'),
    ageOf(deployment.metadata.creationTimestamp, nowMs),
    ...containerCells(objectAt(deployment, 'spec', 'template', 'spec')),
    labelSelectorText(objectAt(deployment, 'spec', 'selector')),
  ],
  setDefaults: (deployment) => {
    const spec = objectAt(deployment, 'spec');
    setDefault(spec, 'replicas', 1);
    setDefault(spec, 'revisionHistoryLimit', 10);
    setDefault(spec, 'progressDeadlineSeconds', 600);
    setDefault(spec, 'strategy', {});
    const strategy = objectAt(spec, 'strategy');
    setDefault(strategy, 'type', 'RollingUpdate');
    if (strategy.type === 'RollingUpdate') {
      setDefault(strategy, 'rollingUpdate', {});
      setDefault(objectAt(strategy, 'rollingUpdate'), 'maxSurge', '25%');
      setDefault(objectAt(strategy, 'rollingUpdate'), 'maxUnavailable', '25%');
    }
    setPodDefaults(objectAt(spec, 'template', 'spec'));
  },
  prepare: (deployment) => {
    deployment.status = objectAt(deployment, 'status');
  },
  validate,
});

export const replicaSets = define({
  group: 'apps',
  kind: 'ReplicaSet',
  plural: 'replicasets',
  shortNames: ['rs'],
  categories: ['all'],
  model: 'V1ReplicaSet',
  hasStatus: true,
  scales: true,
  countsGenerations: true,
  columns: [
    column('Name'),
    column('Desired', 'integer'),
    column('Current', 'integer'),
    column('Ready', 'integer'),
    column('Age'),
    ...wideColumns,
  ],
  row: (replicaSet, nowMs) => [
    replicaSet.metadata.name,
    numberAt(replicaSet, 'spec', 'replicas') ?? 0,
    statusNumber(replicaSet, 'replicas'),
    statusNumber(replicaSet, 'readyReplicas'),
    ageOf(replicaSet.metadata.creationTimestamp, nowMs),
    ...containerCells(objectAt(replicaSet, 'spec', 'template', 'spec')),
    labelSelectorText(objectAt(replicaSet, 'spec', 'selector')),
  ],
  setDefaults: (replicaSet) => {
    setDefault(objectAt(replicaSet, 'spec'), 'replicas', 1);
    setPodDefaults(objectAt(replicaSet, 'spec', 'template', 'spec'));
  },
  prepare: (replicaSet) => {
    const status = objectAt(replicaSet, 'status');
    setDefault(status, 'replicas', 0);
    replicaSet.status = status;
  },
  validate,
});

function validate(workload: KubeObject, old: KubeObject | null): Cause[] {
  const selector = objectAt(workload, 'spec').selector;
  const moved = old !== null && !equal(selector, objectAt(old, 'spec').selector);
  return [
    ...checkTemplate(objectAt(workload, 'spec')),
    ...(moved ? [wrong.invalid('spec.selector', selector, 'field is immutable')] : []),
  ];
}

function statusNumber(object: KubeObject, key: string): number {
  return numberAt(object, 'status', key) ?? 0;
}
