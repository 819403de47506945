import { readFileSync } from 'node:fs';

/** Frames by name (`V1` …) of `test/golden/registration-rpc.txt`, which lies beside the sources, not in `dist`. */
export function goldenMessages(): Map<string, Buffer> {
  const text = readFileSync('test/golden/registration-rpc.txt', 'utf8');
  const messages = new Map<string, Buffer>();
  for (const entry of text.split(/^(?=V\d+ )/m).slice(1)) {
    const [title = '', ...hexLines] = entry.split('\n');
    const hex = hexLines.join('').replaceAll(/\s/g, '');
    const length = Number(/\((\d+) bytes\)/.exec(title)?.[1]);
    const bytes = Buffer.from(hex, 'hex');
    if (bytes.length !== length) throw new Error(`${title}: ${bytes.length} bytes in the file`);
    messages.set(title.split(' ')[0] as string, bytes);
  }
  return messages;
}
