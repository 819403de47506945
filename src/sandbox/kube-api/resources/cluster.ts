import { listAt, objectAt, objectsAt, setDefault, textAt } from '../json.ts';
import { wrong } from '../status.ts';
import { ageOf } from '../view/duration.ts';
import { column, define } from './definition.ts';
import { labelSelectorText } from './pod-template.ts';

export const namespaces = define({
  kind: 'Namespace',
  plural: 'namespaces',
  shortNames: ['ns'],
  model: 'V1Namespace',
  namespaced: false,
  hasStatus: true,
  returnsDeleted: true,
  nameRule: 'label',
  verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  columns: ['Name', 'Status', 'Age'].map((name) => column(name)),
  row: (namespace, nowMs) => [
    namespace.metadata.name,
    textAt(namespace, 'status', 'phase'),
    ageOf(namespace.metadata.creationTimestamp, nowMs),
  ],
  fieldLabels: { 'status.phase': (namespace) => textAt(namespace, 'status', 'phase') },
  setDefaults: (namespace) => {
    const { metadata } = namespace;
    if (metadata === undefined) return;
    setDefault(objectAt(namespace, 'metadata'), 'labels', {});
    const name = textAt(metadata, 'name');
    if (name !== '') setDefault(objectAt(metadata, 'labels'), 'kubernetes.io/metadata.name', name);
  },
  prepare: (namespace, old) => {
    if (old !== null) return;
    namespace.spec = { finalizers: ['kubernetes'] };
    namespace.status = { phase: 'Active' };
  },
});

export const leases = define({
  group: 'coordination.k8s.io',
  kind: 'Lease',
  plural: 'leases',
  model: 'V1Lease',
  createsOnUpdate: true,
  requiresRevision: true,
  columns: ['Name', 'Holder', 'Age'].map((name) => column(name)),
  row: (lease, nowMs) => [
    lease.metadata.name,
    textAt(lease, 'spec', 'holderIdentity'),
    ageOf(lease.metadata.creationTimestamp, nowMs),
  ],
  setDefaults: (lease) => setDefault(lease, 'spec', {}),
  validate: (lease) => {
    const durationSeconds = objectAt(lease, 'spec').leaseDurationSeconds;
    const transitions = objectAt(lease, 'spec').leaseTransitions;
    return [
      ...(typeof durationSeconds === 'number' && durationSeconds <= 0
        ? [wrong.invalid('spec.leaseDurationSeconds', durationSeconds, 'must be greater than 0')]
        : []),
      ...(typeof transitions === 'number' && transitions < 0
        ? [wrong.invalid('spec.leaseTransitions', transitions, 'must be greater than or equal to 0')]
        : []),
    ];
  },
});

export const podDisruptionBudgets = define({
  group: 'policy',
  kind: 'PodDisruptionBudget',
  plural: 'poddisruptionbudgets',
  shortNames: ['pdb'],
  model: 'V1PodDisruptionBudget',
  requiresRevision: true,
  hasStatus: true,
  countsGenerations: true,
  columns: [
    ...['Name', 'Min Available', 'Max Unavailable'].map((name) => column(name)),
    column('Allowed Disruptions', 'integer'),
    column('Age'),
  ],
  row: (budget, nowMs) => [
    budget.metadata.name,
    String(objectAt(budget, 'spec').minAvailable ?? 'N/A'),
    String(objectAt(budget, 'spec').maxUnavailable ?? 'N/A'),
    Number(objectAt(budget, 'status').disruptionsAllowed ?? 0),
    ageOf(budget.metadata.creationTimestamp, nowMs),
  ],
  prepare: (budget) => {
    const status = objectAt(budget, 'status');
    for (const key of ['currentHealthy', 'desiredHealthy', 'disruptionsAllowed', 'expectedPods']) {
      setDefault(status, key, 0);
    }
    budget.status = status;
  },
  validate: (budget) =>
    objectAt(budget, 'spec').minAvailable !== undefined &&
    objectAt(budget, 'spec').maxUnavailable !== undefined
      ? [
          wrong.invalid(
            'spec',
            objectAt(budget, 'spec'),
            'minAvailable and maxUnavailable cannot be both set',
          ),
        ]
      : [],
});

export const networkPolicies = define({
  group: 'networking.k8s.io',
  kind: 'NetworkPolicy',
  plural: 'networkpolicies',
  shortNames: ['netpol'],
  model: 'V1NetworkPolicy',
  countsGenerations: true,
  columns: ['Name', 'Pod-Selector', 'Age'].map((name) => column(name)),
  row: (policy, nowMs) => [
    policy.metadata.name,
    labelSelectorText(objectAt(policy, 'spec', 'podSelector')),
    ageOf(policy.metadata.creationTimestamp, nowMs),
  ],
  setDefaults: (policy) => {
    setDefault(policy, 'spec', {});
    const spec = objectAt(policy, 'spec');
    setDefault(spec, 'podSelector', {});
    setDefault(spec, 'policyTypes', listAt(spec, 'egress').length > 0 ? ['Ingress', 'Egress'] : ['Ingress']);
    for (const direction of ['ingress', 'egress']) {
      for (const rule of objectsAt(spec, direction)) {
        for (const port of objectsAt(rule, 'ports')) setDefault(port, 'protocol', 'TCP');
      }
    }
  },
});
