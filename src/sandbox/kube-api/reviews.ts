import { type JsonObject, objectAt } from './json.ts';

/**
 * Questions about the asker itself. There is one user, who may do everything; only asked, never stored.
 * Null when the path is none of them.
 */
export function review(segments: readonly string[], question: JsonObject): JsonObject | null {
  const [root, group, version, plural, ...tooMuch] = segments;
  if (root !== 'apis' || version !== 'v1' || tooMuch.length > 0) return null;
  const answer = (kind: string, status: JsonObject): JsonObject => ({
    kind,
    apiVersion: `${group}/v1`,
    metadata: {},
    spec: objectAt(question, 'spec'),
    status,
  });
  switch (`${group}/${plural}`) {
    case 'authorization.k8s.io/selfsubjectaccessreviews':
      return answer('SelfSubjectAccessReview', { allowed: true });
    case 'authorization.k8s.io/selfsubjectrulesreviews':
      return answer('SelfSubjectRulesReview', {
        resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
        nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
        incomplete: false,
      });
    case 'authentication.k8s.io/selfsubjectreviews':
      return answer('SelfSubjectReview', {
        userInfo: { username: 'sandbox-admin', groups: ['system:masters', 'system:authenticated'] },
      });
    default:
      return null;
  }
}

export function isReview(segments: readonly string[]): boolean {
  return review(segments, {}) !== null;
}
