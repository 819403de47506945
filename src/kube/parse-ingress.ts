import { z } from 'zod';
import type { IngressSettings, IngressSpec, Problem } from '../domain/ingress.ts';
import { parseAnnotations, quoted } from './parse-annotations.ts';
import { parseMeta } from './parse-meta.ts';
import { parseRules } from './parse-rules.ts';

/** The mission's way to ask for us, older than `spec.ingressClassName`. */
const classAnnotation = 'kubernetes.io/ingress.class';

/** Problems kept of one Ingress: each becomes an Event. */
const maxProblems = 20;
/** Status entries looked at; more are never ours. */
const maxPublished = 1_000;

export interface IngressRules {
  readonly ingressClass: string;
  readonly defaults: IngressSettings;
}

/**
 * `foreign`: not ours, or not any more. `conflict` is then set when the object also names us, which its user
 * should hear. `unreadable`: no Ingress at all.
 */
export type ParsedIngress =
  | { readonly kind: 'ours'; readonly spec: IngressSpec }
  | {
      readonly kind: 'foreign';
      readonly name: string;
      readonly uid: string;
      readonly conflict: Problem | null;
      /** What its status says, whoever wrote that. */
      readonly publishedHostnames: readonly string[];
    }
  | { readonly kind: 'unreadable' };

const specShape = z.object({
  ingressClassName: z.string().nullish().catch(null),
  rules: z.unknown().optional(),
  defaultBackend: z.unknown().optional(),
  tls: z.unknown().optional(),
});

const statusShape = z.object({
  loadBalancer: z.object({
    ingress: z.array(z.looseObject({ hostname: z.string().max(253).catch('') })).max(maxPublished),
  }),
});

/** An Ingress of the API as the controller knows it. Pure; equal input gives deep-equal output; never throws. */
export function parseIngress(object: unknown, { ingressClass, defaults }: IngressRules): ParsedIngress {
  const meta = parseMeta(object);
  if (meta === null || meta.uid === '') return { kind: 'unreadable' };
  const { spec, status } = object as { spec?: unknown; status?: unknown };
  const parsed = specShape.safeParse(spec ?? {});
  const given = parsed.success
    ? parsed.data
    : { ingressClassName: null, rules: undefined, defaultBackend: null, tls: null };

  const annotated = meta.annotations[classAnnotation];
  const classes = {
    annotated: typeof annotated === 'string' ? annotated : null,
    named: given.ingressClassName,
  };
  const conflict = classConflict(classes, ingressClass);
  const ours = (classes.annotated ?? classes.named) === ingressClass;
  // Its user has deleted it; that somebody's finalizer keeps the object must not keep the host open.
  if (!ours || meta.deleting) {
    const { name, uid } = meta;
    return { kind: 'foreign', name, uid, conflict, publishedHostnames: publishedOf(status) };
  }

  const rules = parseRules(given.rules, given.defaultBackend);
  const annotations = parseAnnotations(meta.annotations, defaults);
  const problems = [...annotations.problems, ...(conflict === null ? [] : [conflict]), ...rules.problems];
  // Whatever is wrong with them has been said.
  if (rules.hosts.length === 0 && rules.problems.length === 0) {
    problems.push({ where: 'spec.rules', message: 'no rule is left that has a host and a path to publish' });
  }
  return {
    kind: 'ours',
    spec: {
      key: meta.name,
      uid: meta.uid,
      createdAtMs: meta.createdAtMs,
      hosts: rules.hosts,
      unservable: rules.unservable,
      settings: annotations.settings,
      asksForTls: Array.isArray(given.tls) && given.tls.length > 0,
      publishedHostnames: publishedOf(status),
      problems: bounded(problems),
      ignored: annotations.ignored,
      ofTunnel: annotations.ofTunnel,
      refused: annotations.problems.length > 0 || rules.hosts.length === 0,
    },
  };
}

/** Both given and different, and one of them is ours. The annotation decides. */
function classConflict(
  { annotated, named }: { readonly annotated: string | null; readonly named: string | null | undefined },
  ingressClass: string,
): Problem | null {
  if (annotated === null || named == null || annotated === named) return null;
  if (annotated !== ingressClass && named !== ingressClass) return null;
  const outcome = annotated === ingressClass ? 'it is served here' : 'it is not served here';
  return {
    where: 'spec.ingressClassName',
    message: `got ${quoted(named)}, and the annotation ${classAnnotation} is ${quoted(annotated)}, which decides, so ${outcome}; expected only one of them`,
  };
}

/** What is in an Ingress' status, whoever wrote it; an address has no hostname, which is "". */
export function statusEntriesOf(status: unknown): readonly { readonly hostname: string }[] {
  const parsed = statusShape.safeParse(status);
  return parsed.success ? parsed.data.loadBalancer.ingress : [];
}

function publishedOf(status: unknown): readonly string[] {
  return statusEntriesOf(status)
    .map(({ hostname }) => hostname)
    .filter((name) => name !== '');
}

function bounded(problems: readonly Problem[]): readonly Problem[] {
  if (problems.length <= maxProblems) return problems;
  const more = {
    where: 'metadata',
    message: `${problems.length - maxProblems} more problems are not listed`,
  };
  return [...problems.slice(0, maxProblems), more];
}
