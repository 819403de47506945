import { expect } from 'chai';
import { OpenFiles, openFilesFor, openFilesLimit } from '../../src/runners/open-files.ts';
import { ManualClock } from '../support/manual-clock.ts';

describe('runners/open-files', () => {
  it('says once a minute what a process that has run out of them needs', async () => {
    const clock = new ManualClock();
    const lines: object[] = [];
    const files = new OpenFiles(clock, { warn: (fields: object) => void lines.push(fields) });
    for (let connection = 0; connection < 1_000; connection++) files.exhausted(() => [4, 4, 2]);
    const line = { limit: openFilesLimit(), needed: openFilesFor(3, 10), tunnels: 3, connections: 10 };
    expect(lines).to.deep.equal([line]);
    await clock.advance(59_999);
    files.exhausted(() => [4]);
    expect(lines).to.have.length(1);
    await clock.advance(1);
    files.exhausted(() => [4]);
    expect(lines).to.have.length(2);
  });

  it('knows the limit of its own process', function () {
    if (process.platform !== 'linux') this.skip();
    expect(openFilesLimit()).to.be.greaterThan(3);
  });
});
