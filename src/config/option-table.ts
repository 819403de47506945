import { parseArgs } from 'node:util';
import { failed, ok, type Result } from '../fault.ts';
import type { ValueKind } from './value-kinds.ts';

/** One setting: the flag wins over the environment, and that over the default. */
export interface Option<T> {
  /** Without dashes; null for what only the environment may carry (a secret). */
  readonly flag: string | null;
  readonly env: string | null;
  readonly kind: ValueKind<T>;
  readonly default: T;
  /** What the default is, for the help; empty when there is none. */
  readonly defaultText: string;
  readonly help: string;
  /** May be given several times; the kind reads them joined by commas. */
  readonly repeatable?: true;
  /** The flag alone says `true`. */
  readonly isSwitch?: true;
}

export type OptionTable = Readonly<Record<string, Option<unknown>>>;
export type Environment = Readonly<Record<string, string | undefined>>;

type ValueOf<O> = O extends Option<infer T> ? T : never;

export interface Settings<T extends OptionTable> {
  readonly value: { readonly [K in keyof T]: ValueOf<T[K]> };
  readonly from: { readonly [K in keyof T]: 'flag' | 'environment' | 'default' };
}

/** Ties a default's type to its kind's. `D` widens it, mostly by null for "not given". */
export function option<T, const D = T>(
  flag: string | null,
  env: string | null,
  kind: ValueKind<T>,
  fallback: { readonly value: T | D; readonly text: string },
  help: string,
): Option<T | D> {
  return { flag, env, kind, default: fallback.value, defaultText: fallback.text, help };
}

/** For an option that has no default: null until it is given. */
export const notGiven = { value: null, text: '' } as const;

/** Reads everything or refuses with one sentence that names flag, value and what was expected. */
export function readOptions<T extends OptionTable>(
  table: T,
  argv: readonly string[],
  env: Environment,
): Result<Settings<T>> {
  const flags = readFlags(table, argv);
  if (!flags.ok) return flags;
  const value: Record<string, unknown> = {};
  const from: Record<string, string> = {};
  for (const [key, row] of Object.entries(table)) {
    const flagText = row.flag === null ? undefined : flags.value.get(row.flag);
    // An empty variable is one that is not set: manifests leave them so.
    const envText = row.env === null ? undefined : env[row.env] || undefined;
    const text = flagText ?? envText;
    from[key] = flagText !== undefined ? 'flag' : envText !== undefined ? 'environment' : 'default';
    if (text === undefined) {
      value[key] = row.default;
      continue;
    }
    const read = text === '' ? undefined : row.kind.read(text);
    if (read === undefined) {
      const name = flagText !== undefined ? `--${row.flag}` : row.env;
      const got = row.flag === null ? 'something else' : shown(text);
      return failed('config-invalid', `${name}: got ${got}, expected ${row.kind.expected}`);
    }
    value[key] = read;
  }
  return ok({ value, from } as unknown as Settings<T>);
}

export function asksForHelp(argv: readonly string[]): boolean {
  return argv.some((word) => word === '--help' || word === '-h');
}

/** Every flag with its help, for `--help`. */
export function describeOptions(table: OptionTable): string {
  const rows = Object.values(table).map((row) => {
    const name =
      row.flag === null
        ? `${row.env} (environment only)`
        : `--${row.flag}${row.isSwitch ? '' : ` ${row.kind.placeholder}`}`;
    const notes = [
      row.flag === null ? null : row.env,
      row.repeatable ? 'repeatable' : null,
      row.defaultText === '' ? null : `default: ${row.defaultText}`,
    ].filter((note) => note !== null);
    return `  ${name}\n      ${row.help}${notes.length === 0 ? '' : ` [${notes.join('; ')}]`}\n`;
  });
  return rows.join('');
}

function readFlags(table: OptionTable, argv: readonly string[]): Result<ReadonlyMap<string, string>> {
  const known = new Map(
    Object.values(table).flatMap((row) => (row.flag === null ? [] : [[row.flag, row] as const])),
  );
  // Not strict: the refusals of parseArgs are several sentences long and name no expectation.
  const { tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(
      Array.from(known, ([flag, row]) => [
        flag,
        { type: row.isSwitch ? ('boolean' as const) : ('string' as const) },
      ]),
    ),
    strict: false,
    tokens: true,
  });
  const texts = new Map<string, string>();
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue;
    if (token.kind === 'positional') {
      return failed('config-invalid', `unexpected argument ${shown(token.value)}: expected flags only`);
    }
    const row = known.get(token.name);
    if (row === undefined || !token.rawName.startsWith('--')) {
      return failed('config-invalid', `unknown flag ${token.rawName}: --help lists those that there are`);
    }
    const text = token.value ?? (row.isSwitch ? 'true' : undefined);
    if (text === undefined || (!token.inlineValue && text.startsWith('--'))) {
      return failed('config-invalid', `--${token.name} needs a value: expected ${row.kind.expected}`);
    }
    const earlier = row.repeatable ? texts.get(token.name) : undefined;
    texts.set(token.name, earlier === undefined ? text : `${earlier},${text}`);
  }
  return ok(texts);
}

/** Quoted and cut, so that a refusal stays one line. */
function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
