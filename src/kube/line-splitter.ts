const newline = 0x0a;

/** Cuts a stream of bytes into lines of UTF-8 text, with a bound on what it holds. */
export interface LineSplitter {
  /** The lines that `chunk` completes, without their ends; null once a line is longer than the bound. */
  push(chunk: Buffer): readonly string[] | null;
}

export function lineSplitter(maxLineBytes: number): LineSplitter {
  let begun: Buffer[] = [];
  let begunBytes = 0;
  return {
    push(chunk) {
      const lines: string[] = [];
      let from = 0;
      for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
        const rest = chunk.subarray(from, at);
        if (begunBytes + rest.length > maxLineBytes) return null;
        lines.push(
          begunBytes === 0 ? rest.toString('utf8') : Buffer.concat([...begun, rest]).toString('utf8'),
        );
        begun = [];
        begunBytes = 0;
        from = at + 1;
      }
      if (from < chunk.length) {
        begun.push(chunk.subarray(from));
        begunBytes += chunk.length - from;
      }
      return begunBytes > maxLineBytes ? null : lines;
    },
  };
}
