/**
 * An age in at most two units and few characters, the way every table of the API shows it: `45s`, `3m12s`,
 * `25m`, `5h`, `3d4h`, `40d`, `2y30d`.
 */
function shortDuration(durationMs: number): string {
  const seconds = Math.floor(durationMs / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (hours < 192) return pair(days, 'd', hours % 24, 'h');
  if (hours < 17_520) return `${days}d`;
  const years = Math.floor(days / 365);
  return hours < 70_080 ? pair(years, 'y', days % 365, 'd') : `${years}y`;
}

/** Time since an RFC 3339 stamp; `<unknown>` where there is none. */
export function ageOf(timestamp: string, nowMs: number): string {
  return timestamp === '' ? '<unknown>' : shortDuration(nowMs - Date.parse(timestamp));
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`;
}
