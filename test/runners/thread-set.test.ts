import { expect } from 'chai';
import { fault } from '../../src/fault.ts';
import { ThreadSet } from '../../src/runners/thread-set.ts';
import { keptLog } from '../support/kept-log.ts';
import { ManualClock } from '../support/manual-clock.ts';

describe('the threads of a runner', () => {
  it('are there for nobody any more from the moment on at which one of them is being ended', async () => {
    const { log, lines } = keptLog();
    const gone = Promise.withResolvers<void>();
    const threads = new ThreadSet(
      {
        clock: new ManualClock(),
        log,
        logLevel: 'error',
        accessCertsUrl: null,
        workerFile: new URL('../../workers/tunnel-thread.js', import.meta.url),
        heapMb: 64,
        onThread() {},
      },
      { message() {}, ready() {}, died() {}, gone: gone.resolve },
    );
    const { thread } = threads.spawn('any');
    thread.kill(fault('thread-unresponsive', 'it did not answer'));
    expect([...threads.hosts.keys()]).to.deep.equal([]);
    expect(threads.isEmpty).to.equal(false);
    await gone.promise;
    expect(threads.isEmpty).to.equal(true);
    expect(lines.at(-1)).to.deep.include({ msg: 'thread lost', code: 'thread-unresponsive' });
  });
});
