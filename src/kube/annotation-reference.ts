import { z } from 'zod';
import { annotationPrefix, annotationSchema } from './parse-annotations.ts';

const rowShape = z.object({ values: z.string(), default: z.string(), does: z.string() });

export interface AnnotationRow {
  readonly key: string;
  readonly values: string;
  readonly default: string;
  readonly does: string;
}

/** What the schema says of each annotation, in its order. */
export function annotationRows(): readonly AnnotationRow[] {
  return Object.entries(annotationSchema.shape).map(([key, kind]) => ({
    key,
    ...rowShape.parse(kind.unwrap().meta()),
  }));
}

/** The text of `docs/annotations.md`. */
export function annotationReference(): string {
  const rows = annotationRows().map(
    (row) => `| \`${row.key}\` | ${escaped(row.values)} | ${row.default} | ${row.does}. |\n`,
  );
  return `<!-- Made by \`npm run docs\` from src/kube/parse-annotations.ts. -->

# Annotations

Settings of an Ingress are annotations with the prefix \`${annotationPrefix}\`. Where one is not given, the setting of
the controller holds (\`warp-ingress controller --help\`); the defaults below are what it has without any.

A value that is not understood, and a key that is not in this list, changes nothing: the last good state stays. An Event
\`InvalidIngress\` on the Ingress names the annotation, the value and what was expected, and so does the metric
\`warp_ingress_ingress_problems\` until it is mended. A value that is understood and changes nothing beside the others (\`replicas\` without
\`mode: pod\`, \`ca-secret\` without \`backend-protocol: https\`) is told by an Event \`AnnotationIgnored\`; everything else of the Ingress holds.

| annotation | values | default | what it does |
|---|---|---|---|
${rows.join('')}`;
}

function escaped(text: string): string {
  return text.replaceAll('<', '&lt;');
}
