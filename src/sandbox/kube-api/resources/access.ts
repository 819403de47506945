import { equal, listAt, objectAt, objectsAt, setDefault, textAt } from '../json.ts';
import { type Cause, wrong } from '../status.ts';
import { ageOf } from '../view/duration.ts';
import { column, define } from './definition.ts';

const group = 'rbac.authorization.k8s.io';

export const serviceAccounts = define({
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  shortNames: ['sa'],
  model: 'V1ServiceAccount',
  returnsDeleted: true,
  columns: [column('Name'), column('Age')],
  row: (account, nowMs) => [account.metadata.name, ageOf(account.metadata.creationTimestamp, nowMs)],
});

export const roles = define({
  group,
  kind: 'Role',
  plural: 'roles',
  model: 'V1Role',
  createsOnUpdate: true,
  nameRule: 'path-segment',
  columns: [column('Name'), column('Created At')],
  row: (role) => [role.metadata.name, role.metadata.creationTimestamp],
  setDefaults: (role) => setDefault(role, 'rules', null),
  validate: (role) =>
    objectsAt(role, 'rules').flatMap((rule, index): Cause[] => {
      const field = `rules[${index}]`;
      return [
        ...(listAt(rule, 'verbs').length === 0
          ? [wrong.required(`${field}.verbs`, 'verbs must contain at least one value')]
          : []),
        ...(listAt(rule, 'apiGroups').length === 0
          ? [wrong.required(`${field}.apiGroups`, 'resource rules must supply at least one api group')]
          : []),
        ...(listAt(rule, 'resources').length === 0
          ? [wrong.required(`${field}.resources`, 'resource rules must supply at least one resource')]
          : []),
      ];
    }),
});

export const roleBindings = define({
  group,
  kind: 'RoleBinding',
  plural: 'rolebindings',
  model: 'V1RoleBinding',
  createsOnUpdate: true,
  nameRule: 'path-segment',
  columns: [
    ...['Name', 'Role', 'Age'].map((name) => column(name)),
    ...['Users', 'Groups', 'ServiceAccounts'].map((name) => column(name, 'wide')),
  ],
  row: (binding, nowMs) => {
    const subjects = (kind: string): string =>
      objectsAt(binding, 'subjects')
        .filter((subject) => subject.kind === kind)
        .map((subject) =>
          kind === 'ServiceAccount'
            ? `${textAt(subject, 'namespace')}/${textAt(subject, 'name')}`
            : textAt(subject, 'name'),
        )
        .join(', ');
    return [
      binding.metadata.name,
      `${textAt(binding, 'roleRef', 'kind')}/${textAt(binding, 'roleRef', 'name')}`,
      ageOf(binding.metadata.creationTimestamp, nowMs),
      subjects('User'),
      subjects('Group'),
      subjects('ServiceAccount'),
    ];
  },
  setDefaults: (binding) => {
    setDefault(objectAt(binding, 'roleRef'), 'apiGroup', group);
    for (const subject of objectsAt(binding, 'subjects')) {
      if (subject.kind === 'User' || subject.kind === 'Group') setDefault(subject, 'apiGroup', group);
    }
  },
  validate: (binding, old) => [
    ...(['Role', 'ClusterRole'].includes(textAt(binding, 'roleRef', 'kind'))
      ? []
      : [wrong.unsupported('roleRef.kind', textAt(binding, 'roleRef', 'kind'), ['ClusterRole', 'Role'])]),
    ...(textAt(binding, 'roleRef', 'name') === '' ? [wrong.required('roleRef.name')] : []),
    ...(old !== null && !equal(old.roleRef, binding.roleRef)
      ? [wrong.invalid('roleRef', binding.roleRef, 'cannot change roleRef')]
      : []),
  ],
});
