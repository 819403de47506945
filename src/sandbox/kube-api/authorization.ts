import { randomBytes } from 'node:crypto';
import type { ResourcePath } from './http/request-info.ts';
import { type JsonObject, type KubeObject, listAt, objectsAt, textAt } from './json.ts';
import { roleBindings, roles, serviceAccounts } from './resources/access.ts';
import { refuse } from './status.ts';
import type { Store } from './store/store.ts';

/** What a request asks to be allowed to do, in RBAC's terms. */
export interface Attempt {
  readonly verb: string;
  readonly group: string;
  /** With its subresource: `ingresses/status`. */
  readonly resource: string;
  readonly namespace: string;
  /** Empty for collections. */
  readonly name: string;
}

/** An attempt of a service account and what became of it. */
export interface Decision extends Attempt {
  /** `system:serviceaccount:<namespace>:<name>` */
  readonly user: string;
  readonly allowed: boolean;
}

export interface Account {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/**
 * Service accounts: their tokens, and what the Roles that are bound to them allow. Nothing is allowed beyond; there are no
 * ClusterRoles here. Tokens hold until their account goes.
 */
export class Authorization {
  readonly #store: Store;
  readonly #accounts = new Map<string, Account>();
  readonly #hearers = new Set<(decision: Decision) => void>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** A token, a secret, for an account that exists. */
  issue(account: KubeObject): string {
    const { namespace = '', name, uid } = account.metadata;
    const token = randomBytes(24).toString('base64url');
    this.#accounts.set(token, { namespace, name, uid });
    return token;
  }

  /** Whose token it is; null when it is nobody's, or the account is gone. */
  accountOf(token: string): Account | null {
    const account = this.#accounts.get(token);
    if (account === undefined) return null;
    const living = this.#store.get(serviceAccounts.storage, account.namespace, account.name);
    return living?.metadata.uid === account.uid ? account : null;
  }

  /** Throws the server's refusal when no Role allows it. */
  check(account: Account, attempt: Attempt): void {
    const allowed = this.allows(account, attempt);
    const user = `system:serviceaccount:${account.namespace}:${account.name}`;
    for (const hear of this.#hearers) hear({ ...attempt, user, allowed });
    if (allowed) return;
    const { verb, group, resource, namespace, name } = attempt;
    const [plural = ''] = resource.split('/');
    const scope = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
    throw refuse.forbidden(
      { group, plural, kind: '' },
      name,
      `User "${user}" cannot ${verb} resource "${resource}" in API group "${group}" ${scope}`,
    );
  }

  /** Tells of every attempt of a service account, as an audit log would; the function ends it. */
  onDecision(hear: (decision: Decision) => void): () => void {
    this.#hearers.add(hear);
    return () => void this.#hearers.delete(hear);
  }

  allows({ namespace, name }: Account, attempt: Attempt): boolean {
    return [...this.#store.values(roleBindings.storage)]
      .filter(
        (binding) =>
          binding.metadata.namespace === attempt.namespace &&
          objectsAt(binding, 'subjects').some(
            (subject) =>
              subject.kind === 'ServiceAccount' && subject.name === name && subject.namespace === namespace,
          ),
      )
      .map((binding) => this.#store.get(roles.storage, attempt.namespace, textAt(binding, 'roleRef', 'name')))
      .some((role) => role !== null && objectsAt(role, 'rules').some((rule) => covers(rule, attempt)));
  }
}

/** What a path asks for. A namespace itself is asked for within itself, so that a Role in it can allow that. */
export function attemptOf(verb: string, path: ResourcePath): Attempt {
  const { definition, name, subresource } = path;
  return {
    verb,
    group: definition.group,
    resource: subresource === '' ? definition.plural : `${definition.plural}/${subresource}`,
    namespace: definition.plural === 'namespaces' ? name : path.namespace,
    name,
  };
}

function covers(rule: JsonObject, { verb, group, resource, name }: Attempt): boolean {
  const names = (field: string, wanted: string): boolean => {
    const listed = listAt(rule, field);
    return listed.includes(wanted) || listed.includes('*');
  };
  const resourceNames = listAt(rule, 'resourceNames');
  return (
    names('verbs', verb) &&
    names('apiGroups', group) &&
    names('resources', resource) &&
    (resourceNames.length === 0 || resourceNames.includes(name))
  );
}
