import { type JsonObject, objectAt } from './json.ts';

/** Questions about the asker itself: only asked, never stored. There is one user, who may do everything. */
interface Review {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
  readonly status: JsonObject;
}

export const reviews: readonly Review[] = [
  {
    group: 'authorization.k8s.io',
    plural: 'selfsubjectaccessreviews',
    kind: 'SelfSubjectAccessReview',
    status: { allowed: true },
  },
  {
    group: 'authorization.k8s.io',
    plural: 'selfsubjectrulesreviews',
    kind: 'SelfSubjectRulesReview',
    status: {
      resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
      nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
      incomplete: false,
    },
  },
  {
    group: 'authentication.k8s.io',
    plural: 'selfsubjectreviews',
    kind: 'SelfSubjectReview',
    status: {
      userInfo: { username: 'sandbox-admin', groups: ['system:masters', 'system:authenticated'] },
    },
  },
];

/** The review that a path names; null for any other path. */
export function findReview([root, group, version, plural, ...tooMuch]: readonly string[]): Review | null {
  if (root !== 'apis' || version !== 'v1' || tooMuch.length > 0) return null;
  return reviews.find((review) => review.group === group && review.plural === plural) ?? null;
}

export function answerTo({ group, kind, status }: Review, question: JsonObject): JsonObject {
  const spec = objectAt(question, 'spec');
  return { kind, apiVersion: `${group}/v1`, metadata: {}, spec, status };
}
