import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** What Kubernetes' documentation says of a kind, and of each of its fields by the name it has in JSON. */
export interface Descriptions {
  readonly kind: string;
  readonly fields: ReadonlyMap<string, string>;
}

const { resolve } = createRequire(import.meta.url);
const documented = /\/\*\*\n((?:\s*\*(?!\/).*\n)+)\s*\*\/\n\s*(?:'_?([^']+)'\??:|export declare class )/g;

/** From the declarations of the models, the only place in which their generator leaves the words of the API. */
export function descriptionsOf(model: string): Descriptions {
  const text = readFileSync(resolve(`@kubernetes/client-node/dist/gen/models/${model}.d.ts`), 'utf8');
  const fields = new Map<string, string>();
  let kind = '';
  for (const [, lines, field] of text.matchAll(documented)) {
    const words = lines!
      .replace(/^\s*\* ?/gm, '')
      .replace(/\\(['"])/g, '$1')
      .trim();
    if (field === undefined) kind = words;
    else fields.set(field, words);
  }
  return { kind, fields };
}
