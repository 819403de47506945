import { posix } from 'node:path';

/** One import or re-export of a source file, with relative targets resolved against the project's root. */
export interface ImportLine {
  readonly from: string;
  /** `src/fault.ts`, `node:net`, `p-queue`. */
  readonly to: string;
  /** The package without its subpath; null for our own files and for Node's modules. */
  readonly package: string | null;
  readonly kind: 'value' | 'type' | 'dynamic';
  /** `export … from`. */
  readonly isReexport: boolean;
}

const what = String.raw`(?:\*(?:\s+as\s+\w+)?|\{[^}]*\}|[\w$]+(?:\s*,\s*(?:\{[^}]*\}|\*\s+as\s+\w+))?)`;
const fromLine = new RegExp(String.raw`^(import|export)\s+(type\s+)?${what}\s+from\s+['"]([^'"]+)['"]`, 'gm');
const bareLine = /^import\s+['"]([^'"]+)['"]/gm;
const dynamicImport = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

/** The imports of one file; `path` and the answers are relative to the project's root, with `/`. */
export function importLines(path: string, source: string): readonly ImportLine[] {
  const code = source.replaceAll(/^\s*(?:\/?\*.*|\/\/.*)$/gm, '');
  const line = (to: string, kind: ImportLine['kind'], isReexport: boolean): ImportLine => {
    const isOwn = to.startsWith('.');
    const isNode = to.startsWith('node:');
    return {
      from: path,
      to: isOwn ? posix.join(posix.dirname(path), to) : to,
      package: isOwn || isNode ? null : packageOf(to),
      kind,
      isReexport,
    };
  };
  return [
    ...Array.from(code.matchAll(fromLine), (match) =>
      line(match[3]!, match[2] === undefined ? 'value' : 'type', match[1] === 'export'),
    ),
    ...Array.from(code.matchAll(bareLine), (match) => line(match[1]!, 'value', false)),
    ...Array.from(code.matchAll(dynamicImport), (match) => line(match[1]!, 'dynamic', false)),
  ];
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
