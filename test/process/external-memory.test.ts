import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));

/** Before a process ends it keeps a heap of some megabytes and passes a gigabyte through buffers. */
const buffersAtTheEnd = `data:text/javascript,process.on('exit', () => {
  const kept = Array.from({ length: 200_000 }, (_, index) => ({ index }));
  for (let count = 0; count < 2_000; count += 1) Buffer.allocUnsafeSlow(512 * 1024);
  return kept;
})`;

/** How often V8 marked its whole heap. */
function markings(program: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const argv = ['--trace-gc', '--import', buffersAtTheEnd, ...program];
    execFile(process.execPath, argv, (error, stdout) => {
      if (error !== null) reject(error);
      else resolve(stdout.split('Mark-Compact').length - 1);
    });
  });
}

// Fails with another V8 than `src/external-memory` knows: then see what that one does by itself.
describe('memory outside of the heap', () => {
  it('makes V8 mark the heap less often than in a program that leaves it to count as it does', async () => {
    const [ours, any] = await Promise.all([markings([main, '--version']), markings(['--eval', '0'])]);
    expect(ours).to.be.lessThan(any / 2);
  });
});
