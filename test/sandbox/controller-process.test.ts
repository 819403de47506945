import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { ControllerProcess } from '../../src/sandbox/controller-process.ts';
import type { ThreadFault } from '../../src/sandbox/thread-faults.ts';
import { eventually } from '../support/eventually.ts';

const script = fileURLToPath(new URL('../support/threaded-process.js', import.meta.url));

describe('sandbox: the controller as a process', () => {
  let lines: string[];
  let news: string[];
  let process_: ControllerProcess;

  beforeEach(async () => {
    lines = [];
    news = [];
    process_ = new ControllerProcess({
      command: [script],
      onLine: (line) => lines.push(line),
      onNews: (line) => news.push(line),
    });
    process_.start();
    await threadsOnline();
  });
  afterEach(() => process_.stop());

  const threadsOnline = () =>
    eventually('two threads', () => lines.filter((line) => line.startsWith('online')).length === 2);

  it('lists the threads by the numbers that they have inside', async () => {
    const threads = await process_.threads();
    expect(threads.map(({ thread }) => thread)).to.deep.equal([0, 1, 2]);
    expect(lines.toSorted()).to.deep.equal(['online 1', 'online 2']);
    expect(threads[1]?.title).to.contain('one');
  });

  it('lists them also when asked right after its start, which a signal that comes too early would end', async () => {
    await process_.restart();
    expect((await process_.threads())[0]).to.include({ thread: 0 });
    expect(news).to.deep.equal([]);
  });

  const ways: { fault: ThreadFault; seen: RegExp }[] = [
    { fault: 'exit', seen: /^exit 1$/ },
    { fault: 'throw', seen: /^error thrown on purpose/ },
    { fault: 'exhaust', seen: /^error ERR_WORKER_OUT_OF_MEMORY$/ },
  ];
  for (const { fault, seen } of ways) {
    it(`lets one thread ${fault}, and the process learns only the outcome`, async () => {
      expect(await process_.breakThread(2, fault)).to.equal(true);
      await eventually(`a line like ${seen}`, () => lines.some((line) => seen.test(line)));
      await eventually('one thread is left', () => lines.some((line) => line.startsWith('exit')));
      expect((await process_.threads()).map(({ thread }) => thread)).to.deep.equal([0, 1]);
      expect(lines.join('\n')).to.not.match(/debugger/i);
    });
  }

  it('lets a thread spin, while the others go on', async () => {
    expect(await process_.breakThread(1, 'spin')).to.equal(true);
    expect(await process_.breakThread(2, 'exit')).to.equal(true);
    await eventually('the other thread ends', () => lines.includes('exit 1'));
  });

  it('knows when there is no such thread', async () => {
    expect(await process_.breakThread(99, 'exit')).to.equal(false);
  });

  it('lets the wall clock of every thread jump, there and back', async () => {
    const hourMs = 3_600_000;
    for (const [shiftMs, hours] of [
      [5 * hourMs, 5],
      [-2 * hourMs, -2],
      [0, 0],
    ] as const) {
      lines.length = 0;
      await process_.shiftWallClock(shiftMs);
      process.kill(process_.view().pid!, 'SIGUSR2');
      await eventually('three answers', () => lines.length === 3);
      for (const line of lines) {
        const aheadMs = Number(/^time (\d+)$/.exec(line)?.[1]) - Date.now();
        expect(Math.round(aheadMs / hourMs), line).to.equal(hours);
      }
    }
  });

  it('says what its main thread holds', async () => {
    const { rssBytes, heapUsedBytes, resources } = await process_.memory();
    expect(heapUsedBytes).to.be.within(1, rssBytes);
    expect(resources.Timeout).to.equal(1);
  });

  it('says what each of its threads holds', async () => {
    const threads = await process_.threadMemory();
    expect(threads.map(({ thread }) => thread)).to.deep.equal([0, 1, 2]);
    for (const { heapUsedBytes, heapTotalBytes } of threads) {
      expect(heapUsedBytes).to.be.within(1, heapTotalBytes);
    }
  });

  it('stands still while it is frozen, and goes on afterwards', async () => {
    const { pid } = process_.view();
    lines.length = 0;
    process_.freeze();
    await eventually('the kernel has stopped it', () => stateOf(pid!) === 'T');
    process.kill(pid!, 'SIGUSR2');
    process_.thaw();
    await eventually('three answers', () => lines.length === 3);
    expect(process_.view()).to.include({ state: 'running', pid, restarts: 0 });
  });

  it('starts it again when it was killed, and says so', async () => {
    const { pid } = process_.view();
    lines.length = 0;
    await process_.kill();
    await threadsOnline();
    expect(process_.view()).to.include({ state: 'running', restarts: 1, lastExit: 'SIGKILL' });
    expect(process_.view().pid).to.not.equal(pid);
    expect(news).to.deep.equal(['the controller ended (SIGKILL); it is started again now']);
  });

  it('waits before the second restart', async () => {
    await process_.kill();
    await eventually('the first restart', () => process_.view().restarts === 1);
    await process_.kill();
    expect(process_.view().state).to.equal('restarting');
    expect(news[1]).to.match(/started again in \d\.\d s/);
  });

  it('restarts in order when asked to, which is no crash', async () => {
    lines.length = 0;
    await process_.restart();
    await threadsOnline();
    expect(process_.view()).to.include({ state: 'running', lastExit: 'exit code 0', restarts: 0 });
    expect(news).to.deep.equal([]);
  });

  it('stays stopped after a stop, and has no threads then', async () => {
    await process_.stop();
    expect(process_.view()).to.include({ state: 'stopped', pid: null, lastExit: 'exit code 0' });
    const outcome = await process_.threads().then(
      () => '',
      (error: Error) => error.message,
    );
    expect(outcome).to.equal('the controller is not running');
  });
});

/** As proc_pid_stat(5) has it: `T` for stopped. */
function stateOf(pid: number): string {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]![0]!;
}
