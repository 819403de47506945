import type { Attempt } from './authorization.ts';
import { type JsonObject, objectAt, textAt } from './json.ts';

/**
 * Questions about the asker itself: only asked, never stored. What a service account may do its Roles say; who it is, and
 * the list of all it may do, are answered as for the one user, who may do everything.
 */
interface Review {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
  status(question: JsonObject, may: (attempt: Attempt) => boolean): JsonObject;
}

export const reviews: readonly Review[] = [
  {
    group: 'authorization.k8s.io',
    plural: 'selfsubjectaccessreviews',
    kind: 'SelfSubjectAccessReview',
    status: (question, may) => ({ allowed: may(attemptIn(question)) }),
  },
  {
    group: 'authorization.k8s.io',
    plural: 'selfsubjectrulesreviews',
    kind: 'SelfSubjectRulesReview',
    status: () => ({
      resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
      nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
      incomplete: false,
    }),
  },
  {
    group: 'authentication.k8s.io',
    plural: 'selfsubjectreviews',
    kind: 'SelfSubjectReview',
    status: () => ({
      userInfo: { username: 'sandbox-admin', groups: ['system:masters', 'system:authenticated'] },
    }),
  },
];

/** The review that a path names; null for any other path. */
export function findReview([root, group, version, plural, ...tooMuch]: readonly string[]): Review | null {
  if (root !== 'apis' || version !== 'v1' || tooMuch.length > 0) return null;
  return reviews.find((review) => review.group === group && review.plural === plural) ?? null;
}

/** `may`: what the asker is allowed to do. */
export function answerTo(
  { group, kind, status }: Review,
  question: JsonObject,
  may: (attempt: Attempt) => boolean,
): JsonObject {
  const spec = objectAt(question, 'spec');
  return { kind, apiVersion: `${group}/v1`, metadata: {}, spec, status: status(question, may) };
}

function attemptIn(question: JsonObject): Attempt {
  const of = (field: string): string => textAt(question, 'spec', 'resourceAttributes', field);
  const [resource, subresource] = [of('resource'), of('subresource')];
  return {
    verb: of('verb'),
    group: of('group'),
    resource: subresource === '' ? resource : `${resource}/${subresource}`,
    namespace: of('namespace'),
    name: of('name'),
  };
}
