const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};
const whole = /^(\d{1,12}(\.\d{0,9})?(ns|us|µs|ms|s|m|h))+$/;
const piece = /(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g;

/**
 * A duration as cloudflared's flags take it (Go's `time.ParseDuration`, without a sign): `30s`, `1m30s`, `1.5h`,
 * `0`. Milliseconds, rounded; null for anything else.
 */
export function parseDurationMs(text: string): number | null {
  if (text === '0') return 0;
  if (!whole.test(text)) return null;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(piece)) ms += Number(amount) * unitMs[unit!]!;
  return Math.round(ms);
}
