import { expect } from 'chai';
import type { RunFact } from '../../src/actors/ports.ts';
import { fault } from '../../src/fault.ts';
import { ThreadPart } from '../../src/runners/thread-part.ts';
import type { HostThread } from '../../src/runners/thread-pool.ts';
import { ThreadRun } from '../../src/runners/thread-run.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { podRequest } from '../support/pod-request.ts';

describe('a run over two threads', () => {
  const clock = new ManualClock();
  const thread = { send() {}, kill() {} } as unknown as HostThread;
  let facts: RunFact[];
  let run: ThreadRun;
  let parts: ThreadPart[];
  let mustWait: boolean;

  function place(of: ThreadRun, connections: readonly number[]): null {
    const part = new ThreadPart(`${parts.length}`, connections, thread, clock);
    parts.push(part);
    of.begun(part);
    return null;
  }

  beforeEach(() => {
    facts = [];
    parts = [];
    mustWait = false;
    run = new ThreadRun(
      'run',
      podRequest(),
      {
        clock,
        graceMs: 1_000,
        place,
        mustWait: () => mustWait,
      },
      (fact) => facts.push(fact),
    );
  });

  it('is not settled by what was registered while its part was asked to leave', () => {
    for (const connections of [
      [0, 2],
      [1, 3],
    ])
      place(run, connections);
    const [leaving, staying] = parts as [ThreadPart, ThreadPart];
    run.registered(leaving, 0);
    run.registered(staying, 1);
    expect(run.isSettled).to.equal(true);
    run.move(leaving);
    run.registered(leaving, 2);
    expect(facts.at(-1)).to.deep.equal({ type: 'connections', registered: 1 });
    run.partEnded(leaving, { how: 'stopped' });
    expect(run.isSettled).to.equal(false);
    run.registered(parts[2]!, 2);
    expect(run.isSettled).to.equal(true);
  });

  it('says that it is not kept apart, too, as one that was before it may have ended while it was', () => {
    const apart = () => facts.flatMap((fact) => (fact.type === 'quarantine' ? [fact.isApart] : []));
    run.quarantined(false);
    expect(apart()).to.deep.equal([false]);
    run.quarantined(false);
    run.quarantined(true);
    run.quarantined(true);
    expect(apart()).to.deep.equal([false, true]);
  });

  it('starts what waits for its turn when that comes, and not once it is stopped', async () => {
    for (const connections of [[0, 2], [1, 3], [5]]) place(run, connections);
    mustWait = true;
    for (const part of parts.slice(0, 2)) run.partLost(part, fault('thread-exited', 'gone'));
    await clock.advance(30_000);
    expect(parts).to.have.length(3);
    expect(run.isSettled).to.equal(false);
    mustWait = false;
    run.takeTurn();
    expect(parts.slice(3).map(({ connections }) => connections)).to.deep.equal([
      [0, 2],
      [1, 3],
    ]);
    mustWait = true;
    run.partLost(parts[3]!, fault('thread-exited', 'gone'));
    await clock.advance(30_000);
    run.stop();
    mustWait = false;
    run.takeTurn();
    expect(parts).to.have.length(5);
    run.kill();
  });
});
