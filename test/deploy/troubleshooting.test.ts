import { readFileSync } from 'node:fs';
import { expect } from 'chai';

describe('the troubleshooting', () => {
  const headings = new Set(
    Array.from(
      readFileSync('docs/troubleshooting.md', 'utf8').matchAll(/^### `(\w+)`\n(?=\S)/gm),
      ([, name]) => name,
    ),
  );

  it('has an entry for each reason that an Event may have', () => {
    const union = readFileSync('src/domain/event.ts', 'utf8').split('export type EventReason =')[1] ?? '';
    const reasons = Array.from(union.matchAll(/'(\w+)'/g), ([, reason]) => reason);
    expect(reasons).to.include('TunnelReady');
    expect(reasons.filter((reason) => !headings.has(reason))).to.deep.equal([]);
  });
});
