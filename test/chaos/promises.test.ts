import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { faultKinds } from '../../chaos/faults.ts';
import { promiseOf } from '../../chaos/promise.ts';

/** Name, what happens, what may fail, bound: the rest of a row is what was measured. */
const promised = /^\| `[\w-]+` \|[^|]*\|[^|]*\|[^|]*\|/;

describe('docs/reliability.md', () => {
  it('has one row for each fault, in their order, and promises what is checked', () => {
    const rows = readFileSync('docs/reliability.md', 'utf8')
      .split('\n')
      .flatMap((line) => promised.exec(line)?.[0] ?? []);
    expect(rows).to.deep.equal(faultKinds.map(promiseOf));
  });
});
