import type { TunnelRow } from './host-records.ts';

export interface Readiness {
  readonly ready: boolean;
  /** What readiness waits for, in words that a user understands. */
  readonly waiting: readonly string[];
}

/** More rows than that help nobody who looks at a page; the metrics have them all. */
const maxRows = 2_000;

/** The status page: what is served and how it is. No secret ever comes here; everything is escaped. */
export function statusPage(readiness: Readiness, tunnels: readonly TunnelRow[]): string {
  const rows = tunnels.slice(0, maxRows).map(({ host, ingress, state, connections, quarantine }) => {
    const shown = quarantine === null ? state : `${state}, in quarantine with ${quarantine}`;
    const cells = [host, ingress, shown, `${connections}`].map((text) => `<td>${escapeHtml(text)}</td>`);
    return `<tr class="${escapeHtml(state)}">${cells.join('')}</tr>\n`;
  });
  const waiting = readiness.waiting.slice(0, maxRows).map((text) => `<li>${escapeHtml(text)}</li>\n`);
  const left = tunnels.length - rows.length;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>warp-ingress</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px system-ui, sans-serif; margin: 2rem; }
table { border-collapse: collapse; }
th, td { border: 1px solid #8886; padding: .3rem .6rem; text-align: left; }
.up { background: #2a23; }
.failed { background: #d223; }
</style>
</head>
<body>
<h1>warp-ingress is ${readiness.ready ? 'ready' : 'not ready'}</h1>
${waiting.length === 0 ? '' : `<p>Waiting for</p>\n<ul>\n${waiting.join('')}</ul>\n`}<table>
<thead><tr><th>Host</th><th>Ingress</th><th>State</th><th>Connections</th></tr></thead>
<tbody>
${rows.join('')}</tbody>
</table>
${left > 0 ? `<p>and ${left} more</p>\n` : ''}<p><a href="/metrics">metrics</a> <a href="/readyz">readyz</a> <a href="/healthz">healthz</a></p>
</body>
</html>
`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? '');
}
