import { refuse } from '../status.ts';

/** How the client wants objects shown. */
export interface Presentation {
  readonly encoding: 'json' | 'yaml';
  readonly as: 'object' | 'table' | 'metadata';
}

interface MediaRange {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const jsonTypes = new Set(['application/json', 'application/*', '*/*', '']);

/** The first of the accepted forms that the server has. Protobuf is not one of them: clients fall back. */
export function negotiate(accept: string | undefined): Presentation {
  for (const { type, parameters } of mediaRanges(accept ?? '')) {
    const encoding = jsonTypes.has(type) ? 'json' : type === 'application/yaml' ? 'yaml' : null;
    if (encoding === null) continue;
    const as = parameters.get('as');
    if (as === undefined) return { encoding, as: 'object' };
    if (parameters.get('g') !== 'meta.k8s.io' || !['v1', 'v1beta1'].includes(parameters.get('v') ?? ''))
      continue;
    if (as === 'Table') return { encoding, as: 'table' };
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList')
      return { encoding, as: 'metadata' };
  }
  throw refuse.notAcceptable();
}

/** Whether `Accept` has a JSON range with exactly these parameters before any plain one. */
export function prefers(
  accept: string | undefined,
  wanted: { readonly [parameter: string]: string },
): boolean {
  for (const { type, parameters } of mediaRanges(accept ?? '')) {
    if (!jsonTypes.has(type)) continue;
    if (parameters.get('as') === undefined) return false;
    if (Object.entries(wanted).every(([key, value]) => parameters.get(key) === value)) return true;
  }
  return false;
}

function mediaRanges(accept: string): MediaRange[] {
  return accept.split(',').map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    const pairs = parameters.map((parameter): [string, string] => {
      const [key = '', value = ''] = parameter.split('=');
      return [key, value];
    });
    return { type: type.toLowerCase(), parameters: new Map(pairs) };
  });
}
