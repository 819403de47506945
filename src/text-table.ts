/** Columns as wide as their widest cell, two spaces apart, as kubectl prints them. Empty without rows. */
export function textTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const lines = [heads, ...rows];
  const widths = heads.map((_, column) => Math.max(...lines.map((cells) => printable(cells[column]).length)));
  return lines
    .map((cells) => {
      const padded = heads.map((_, column) => printable(cells[column]).padEnd(widths[column] ?? 0));
      return `${padded.join('  ').trimEnd()}\n`;
    })
    .join('');
}

/** What others wrote must not steer a terminal. */
function printable(text = ''): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is cut out
  return text.replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ');
}
