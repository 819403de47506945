import { EventEmitter } from 'node:events';
import { Writable } from 'node:stream';
import { expect } from 'chai';
import { type Fault, FaultError, fault } from '../../src/fault.ts';
import { createLog } from '../../src/log.ts';
import { type Running, runUntilEnd } from '../../src/running.ts';
import { settle } from '../support/manual-clock.ts';

/** A command whose stop and end the test decides, and the process around it. */
function world() {
  const stopping = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<Fault | null>();
  const process = new EventEmitter();
  const lines: string[] = [];
  const refused: string[] = [];
  let stops = 0;
  const running: Running = {
    stop: () => {
      stops += 1;
      return stopping.promise;
    },
    ended: ended.promise,
  };
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const log = createLog({ level: 'info', format: 'json' }, destination);
  let code: number | null = null;
  return {
    stopping,
    ended,
    process,
    lines,
    refused,
    stops: () => stops,
    code: () => code,
    run(start: () => Promise<Running> = async () => running) {
      const refuse = (message: string): number => {
        refused.push(message);
        return 2;
      };
      void runUntilEnd(start, process, log, refuse).then((value) => {
        code = value;
      });
      return settle();
    },
    running,
  };
}

describe('process', () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    it(`${signal} stops the command and ends with 0 as soon as that is done`, async () => {
      const { run, process, stopping, stops, code } = world();
      await run();
      process.emit(signal, signal);
      await settle();
      expect([stops(), code()]).to.deep.equal([1, null]);
      stopping.resolve();
      await settle();
      expect(code()).to.equal(0);
    });
  }

  it('a second signal ends with 1 at once', async () => {
    const { run, process, code } = world();
    await run();
    process.emit('SIGINT', 'SIGINT');
    process.emit('SIGINT', 'SIGINT');
    await settle();
    expect(code()).to.equal(1);
  });

  it('a signal during the start stops what has started', async () => {
    const { run, process, stopping, stops, code, running } = world();
    const starting = Promise.withResolvers<Running>();
    await run(() => starting.promise);
    process.emit('SIGTERM', 'SIGTERM');
    await settle();
    expect([stops(), code()]).to.deep.equal([0, null]);
    starting.resolve(running);
    stopping.resolve();
    await settle();
    expect([stops(), code()]).to.deep.equal([1, 0]);
  });

  it('a command that ends by itself ends the process: with 1 when there is a fault', async () => {
    const { run, ended, code, lines } = world();
    await run();
    ended.resolve(fault('restart-intensity', 'too many restarts'));
    await settle();
    expect(code()).to.equal(1);
    expect(lines.join('')).to.contain('"code":"restart-intensity"').and.contain('too many restarts');
  });

  const failures: [string, unknown, number, string][] = [
    ['what is not there', new FaultError(fault('kube-unreachable', 'no answer')), 1, 'kube-unreachable'],
    ['a bug', new TypeError('undefined is no function'), 1, 'undefined is no function'],
  ];
  for (const [title, thrown, expected, words] of failures) {
    it(`a start that fails by ${title} is one line and ends with ${expected}`, async () => {
      const { run, code, lines } = world();
      await run(() => Promise.reject(thrown));
      expect(code()).to.equal(expected);
      expect(lines).to.have.length(1);
      expect(lines[0]).to.contain(words);
    });
  }

  it('a setting that only its use shows to be bad is refused as any other, and not logged', async () => {
    const bad = fault('config-invalid', '--cacert: cannot be read');
    for (const when of ['the start', 'the end']) {
      const { run, ended, code, lines, refused } = world();
      if (when === 'the start') await run(() => Promise.reject(new FaultError(bad)));
      else await run();
      ended.resolve(bad);
      await settle();
      expect({ code: code(), lines, refused }, when).to.deep.equal({
        code: 2,
        lines: [],
        refused: [bad.message],
      });
    }
  });

  for (const event of ['uncaughtException', 'unhandledRejection']) {
    it(`${event} is one line and ends with 1`, async () => {
      const { run, process, code, lines } = world();
      await run();
      process.emit(event, new Error('nobody caught this'));
      await settle();
      expect(code()).to.equal(1);
      expect(lines).to.have.length(1);
      expect(lines[0]).to.contain('nobody caught this');
    });
  }
});
