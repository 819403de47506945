import { isIP } from 'node:net';
import type { Shard } from '../domain/shard.ts';
import { parseDurationMs } from '../time/duration.ts';

/** How one kind of value is read from text; `expected` ends the sentence "expected …". */
export interface ValueKind<T> {
  /** In the help: `--flag PLACEHOLDER`. */
  readonly placeholder: string;
  readonly expected: string;
  /** Undefined: refused. */
  read(text: string): T | undefined;
}

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export function oneOf<const T extends string>(...values: readonly T[]): ValueKind<T> {
  return {
    placeholder: values.join('|'),
    expected: values.length === 1 ? `"${values[0]}"` : `one of ${values.join(', ')}`,
    read: (text) => values.find((value) => value === text),
  };
}

export function wholeNumber(min: number, max: number): ValueKind<number> {
  return {
    placeholder: 'N',
    expected: `a whole number from ${min} to ${max}`,
    read: (text) => {
      const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
      return value >= min && value <= max ? value : undefined;
    },
  };
}

/** Go's durations, as cloudflared takes them; milliseconds. */
export function durationUpTo(maxMs: number, maxText: string): ValueKind<number> {
  return {
    placeholder: 'DURATION',
    expected: `a duration of at most ${maxText}, like 30s or 1m30s`,
    read: (text) => {
      const ms = parseDurationMs(text);
      return ms !== null && ms <= maxMs ? ms : undefined;
    },
  };
}

/** `0/3`, `1/3` and `2/3` are all of three. */
export function shardOfAtMost(max: number): ValueKind<Shard> {
  return {
    placeholder: 'I/N',
    expected: `i/n with n from 1 to ${max} and i from 0 to n-1, like 0/3`,
    read: (text) => {
      const [, index, count] = (/^(\d{1,4})\/(\d{1,4})$/.exec(text) ?? []).map(Number);
      if (index === undefined || count === undefined || index >= count || count > max) return undefined;
      return { index, count };
    },
  };
}

export function matching(placeholder: string, pattern: RegExp, expected: string): ValueKind<string> {
  return { placeholder, expected, read: (text) => (pattern.test(text) ? text : undefined) };
}

export const filePath: ValueKind<string> = {
  placeholder: 'FILE',
  expected: 'the path of a file',
  read: (text) => (text.includes('\0') ? undefined : text),
};

/** `host:port` or `[v6]:port`. */
export const hostPort: ValueKind<HostPort> = {
  placeholder: 'HOST:PORT',
  expected: 'host:port, an IPv6 address in brackets',
  read: readHostPort,
};

/** Where to listen: the host may be left out and the port 0, as with Go. */
export const listenAddress: ValueKind<HostPort> = {
  placeholder: 'HOST:PORT',
  expected: 'host:port, like 0.0.0.0:9090 (port 0 is any free one)',
  read: (text) => readHostPort(text.startsWith(':') ? `0.0.0.0${text}` : text, 0),
};

/** Normalised, without a slash at the end, so that paths can be put behind it. */
export const httpUrl: ValueKind<string> = {
  placeholder: 'URL',
  expected: 'an http or https URL without user, query or fragment',
  read: (text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol)) return undefined;
    if (url.username || url.password || url.search || url.hash) return undefined;
    return url.href.replace(/\/+$/, '');
  },
};

/** Requests keep their own path, so a path here would be lost; cloudflared's rules refuse it too. */
export const originUrl: ValueKind<string> = {
  ...httpUrl,
  expected: 'an http or https URL without user, path, query or fragment',
  read: (text) => {
    const url = httpUrl.read(text);
    return url !== undefined && new URL(url).pathname === '/' ? url : undefined;
  },
};

/** Comma-separated; between 1 and `max` entries. */
export function listOf<T>(kind: ValueKind<T>, max: number): ValueKind<readonly T[]> {
  return {
    placeholder: kind.placeholder,
    expected: `${kind.expected}; at most ${max} of them`,
    read: (text) => {
      const values = text.split(',').map((part) => kind.read(part.trim()));
      return values.length <= max && values.every((value) => value !== undefined) ? values : undefined;
    },
  };
}

/** For what only the command itself can judge: `alternative` first, then `kind`. */
export function eitherOf<A, B>(alternative: ValueKind<A>, kind: ValueKind<B>): ValueKind<A | B> {
  return {
    placeholder: `${alternative.placeholder}|${kind.placeholder}`,
    expected: `${alternative.expected} or ${kind.expected}`,
    read: (text) => alternative.read(text) ?? kind.read(text),
  };
}

const hostName = /^[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,251}[a-zA-Z0-9_])?\.?$/;

function readHostPort(text: string, minPort = 1): HostPort | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, inBrackets, plain, digits] = match;
  const port = Number(digits);
  if (port < minPort || port > 65_535) return undefined;
  if (inBrackets !== undefined) return isIP(inBrackets) === 6 ? { host: inBrackets, port } : undefined;
  return plain !== undefined && hostName.test(plain) ? { host: plain, port } : undefined;
}
