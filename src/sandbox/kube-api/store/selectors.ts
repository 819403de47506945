import type { KubeObject } from '../json.ts';
import { refuse } from '../status.ts';

export type Matcher = (object: KubeObject) => boolean;

interface Requirement {
  readonly key: string;
  readonly matches: (value: string | undefined) => boolean;
}

const maxSelectorLength = 16_384;
const labelKey = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

/** `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1` as in the real server's label selectors. */
export function labelSelector(text: string): Matcher {
  const requirements = splitTopLevel(text).map((term) => labelRequirement(term, text));
  return ({ metadata }) => requirements.every(({ key, matches }) => matches(metadata.labels?.[key]));
}

/** `metadata.name=a,type!=b`; `fields` are those that the kind can be selected by. */
export function fieldSelector(
  text: string,
  fields: { readonly [label: string]: (object: KubeObject) => string },
): Matcher {
  const terms = text
    .split(',')
    .map((term) => term.trim())
    .filter((term) => term !== '')
    .map((term) => {
      const [, label = '', operator = '', value = ''] = /^([^=!]+)(==|=|!=)(.*)$/.exec(term) ?? [];
      if (operator === '') throw refuse.badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
      const read = Object.hasOwn(fields, label) ? fields[label] : undefined;
      if (read === undefined) throw refuse.badRequest(`field label not supported: ${label}`);
      return { read, value: value.replace(/\\([\\,=])/g, '$1'), wanted: operator !== '!=' };
    });
  return (object) => terms.every(({ read, value, wanted }) => (read(object) === value) === wanted);
}

function splitTopLevel(text: string): string[] {
  if (text.length > maxSelectorLength)
    throw refuse.badRequest('unable to parse requirement: selector too long');
  return (text.match(/(?:\([^)]*\)?|[^,(])+/g) ?? [])
    .map((term) => term.trim())
    .filter((term) => term !== '');
}

function labelRequirement(term: string, whole: string): Requirement {
  const set = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(term);
  if (set !== null) {
    const [, key = '', operator, list = ''] = set;
    const values = new Set(list.split(',').map((value) => value.trim()));
    for (const value of values) check(labelValue, value, whole);
    check(labelKey, key, whole);
    return {
      key,
      matches:
        operator === 'in'
          ? (value) => value !== undefined && values.has(value)
          : (value) => value === undefined || !values.has(value),
    };
  }
  const compared = /^([^=!<>\s]+)\s*(==|=|!=|>|<)\s*(.*)$/.exec(term);
  if (compared !== null) {
    const [, key = '', operator, wanted = ''] = compared;
    check(labelKey, key, whole);
    check(labelValue, wanted, whole);
    if (operator === '!=') return { key, matches: (value) => value !== wanted };
    if (operator === '>') return { key, matches: (value) => Number(value) > Number(wanted) };
    if (operator === '<') return { key, matches: (value) => Number(value) < Number(wanted) };
    return { key, matches: (value) => value === wanted };
  }
  if (term.startsWith('!')) {
    const key = term.slice(1).trim();
    check(labelKey, key, whole);
    return { key, matches: (value) => value === undefined };
  }
  const [first = '', second] = term.split(/\s+/);
  if (second !== undefined) {
    throw refuse.badRequest(
      `unable to parse requirement: found '${second}', expected: in, notin, =, ==, !=, gt, lt`,
    );
  }
  check(labelKey, first, whole);
  return { key: term, matches: (value) => value !== undefined };
}

function check(pattern: RegExp, text: string, whole: string): void {
  if (!pattern.test(text)) {
    throw refuse.badRequest(
      `unable to parse requirement: found '${text}' in ${JSON.stringify(whole)}, expected a valid label key or value`,
    );
  }
}
