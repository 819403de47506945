import { isIP } from 'node:net';
import type { Json } from '../json.ts';
import { type Cause, wrong } from '../status.ts';

/** What names and small values must look like, with the real server's words. Each answers what is wrong. */

interface Rule {
  readonly pattern: RegExp;
  readonly maxLength: number;
  readonly says: string;
  readonly examples: readonly string[];
}

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain = `${label}(\\.${label})*`;

const rules = {
  label: {
    pattern: new RegExp(`^${label}$`),
    maxLength: 63,
    says: "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
    examples: ['my-name', '123-abc', label],
  },
  subdomain: {
    pattern: new RegExp(`^${subdomain}$`),
    maxLength: 253,
    says: "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
    examples: ['example.com', subdomain],
  },
  wildcard: {
    pattern: new RegExp(`^\\*\\.${subdomain}$`),
    maxLength: 253,
    says: "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    examples: ['*.example.com', `\\*\\.${subdomain}`],
  },
  qualified: {
    pattern: /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/,
    maxLength: 63,
    says: "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    examples: ['MyName', 'my.name', '123-abc', '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'],
  },
  labelValue: {
    pattern: /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/,
    maxLength: 63,
    says: "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    examples: ['MyValue', 'my_value', '12345', '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?'],
  },
  configKey: {
    pattern: /^[-._a-zA-Z0-9]+$/,
    maxLength: 253,
    says: "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    examples: ['key.name', 'KEY_NAME', 'key-name', '[-._a-zA-Z0-9]+'],
  },
} as const satisfies Record<string, Rule>;

export type RuleName = keyof typeof rules;

/** One cause for each thing that is wrong with `value`. */
export function checkName(rule: RuleName, value: string, field: string): Cause[] {
  return complaints(rule, value).map((says) => wrong.invalid(field, value, says));
}

/** `Ingress.spec.rules[].host`. */
export function checkHost(host: string, field: string): Cause[] {
  return [
    ...(isIP(host) ? [wrong.invalid(field, host, 'must be a DNS name, not an IP address')] : []),
    ...checkName(host.includes('*') ? 'wildcard' : 'subdomain', host, field),
  ];
}

export function checkPortNumber(value: Json | undefined, field: string): Cause[] {
  const inside = typeof value === 'number' && value >= 1 && value <= 65_535;
  return inside ? [] : [wrong.invalid(field, value ?? 0, 'must be between 1 and 65535, inclusive')];
}

export function checkPortName(value: string, field: string): Cause[] {
  const says = [
    ...(value.length > 15 ? ['must be no more than 15 characters'] : []),
    ...(/^[-a-z0-9]+$/.test(value)
      ? []
      : ['must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)']),
    ...(/[a-z]/.test(value) ? [] : ['must contain at least one letter (a-z)']),
    ...(value.includes('--') ? ['must not contain consecutive hyphens'] : []),
    ...(/^-|-$/.test(value) ? ['must not begin or end with a hyphen'] : []),
  ];
  return says.map((each) => wrong.invalid(field, value, each));
}

/** `Service.spec.ports[].targetPort`. */
export function checkPortNumberOrName(value: Json | undefined, field: string): Cause[] {
  return typeof value === 'string' ? checkPortName(value, field) : checkPortNumber(value, field);
}

/** A label key or an annotation key: a name with an optional DNS prefix. */
export function checkQualifiedName(value: string, field: string): Cause[] {
  const slash = value.indexOf('/');
  if (slash < 0) return checkName('qualified', value, field);
  const prefix = value.slice(0, slash);
  return [
    ...complaints('subdomain', prefix).map((says) => wrong.invalid(field, value, `prefix part ${says}`)),
    ...complaints('qualified', value.slice(slash + 1)).map((says) => wrong.invalid(field, value, says)),
  ];
}

function complaints(name: RuleName, value: string): string[] {
  const rule: Rule = rules[name];
  const [first, ...rest] = rule.examples.slice(0, -1).map((example) => `'${example}'`);
  const others = rest.map((example) => `,  or ${example}`).join('');
  const example = `(e.g. ${first}${others}, regex used for validation is '${rule.examples.at(-1)}')`;
  return [
    ...(value.length > rule.maxLength
      ? [`${name === 'qualified' ? 'name part ' : ''}must be no more than ${rule.maxLength} characters`]
      : []),
    ...(rule.pattern.test(value) ? [] : [`${rule.says} ${example}`]),
  ];
}
