/** Carries what a stream is for; upgrades of eyeballs arrive here too. */
const upgradeHeader = 'cf-cloudflared-proxy-connection-upgrade';
const sourceHeader = 'cf-cloudflared-proxy-src';

export type StreamKind = 'configuration' | 'websocket' | 'tcp' | 'control' | 'http';

/**
 * What the edge opened a stream for (protocol page section 5.1, first match wins, values compared exactly).
 * `headers` is name, value, … in lower case names. On the hot path.
 */
export function streamKind(headers: readonly string[]): StreamKind {
  let upgrade = '';
  let hasSource = false;
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index];
    if (name === upgradeHeader) upgrade = headers[index + 1] ?? '';
    else if (name === sourceHeader && headers[index + 1] !== '') hasSource = true;
  }
  if (upgrade === 'update-configuration') return 'configuration';
  if (upgrade === 'websocket') return 'websocket';
  if (hasSource) return 'tcp';
  return upgrade === 'control-stream' ? 'control' : 'http';
}
