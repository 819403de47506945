import type { Random } from './random.ts';

/** What a field of an object may be instead of what it should be. */
const strangeValues: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e99,
  '',
  ' ',
  'a',
  '/',
  '*',
  '..',
  '\u0000',
  'a\r\nb: c',
  '\ud800',
  'ａ.example.com',
  '*.example.com',
  'x'.repeat(300),
  '9'.repeat(40),
  [],
  [null],
  {},
  { a: {} },
];
const strangeKeys = ['', '__proto__', 'constructor', 'toString', 'a', 'cloudflare-warp/', 'x'.repeat(300)];

/** The same value with up to four damages somewhere inside: other values, keys gone, added, or doubled lists. */
export function mutatedJson(value: unknown, random: Random): unknown {
  let result = value;
  for (let left = random.below(5); left > 0; left -= 1) result = damaged(result, random);
  return result;
}

function damaged(value: unknown, random: Random): unknown {
  if (typeof value !== 'object' || value === null || random.oneIn(12)) return random.pick(strangeValues);
  const deeper = !random.oneIn(4);
  if (Array.isArray(value)) {
    const at = random.below(value.length);
    if (deeper && value.length > 0) return value.with(at, damaged(value[at], random));
    if (random.oneIn(3)) return value.toSpliced(at, 1);
    return [...value, ...value, random.pick(strangeValues)];
  }
  const entries = Object.entries(value);
  const at = random.below(entries.length);
  const entry = entries[at];
  if (entry !== undefined && deeper) {
    return Object.fromEntries(entries.with(at, [entry[0], damaged(entry[1], random)]));
  }
  if (random.oneIn(2)) return Object.fromEntries(entries.toSpliced(at, 1));
  return Object.fromEntries([...entries, [random.pick(strangeKeys), random.pick(strangeValues)]]);
}
