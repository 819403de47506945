import { expect } from 'chai';
import { faultKinds } from '../../chaos/faults.ts';
import { type ChaosOptions, readOptions } from '../../chaos/options.ts';

const read = (line: string): ChaosOptions | string => readOptions(line.split(' ').filter(Boolean), () => 0.5);

describe('the options of npm run chaos', () => {
  it('make up a seed when none is given, and keep one that is', () => {
    expect(read('')).to.include({ seed: 2 ** 30, runs: 1, faults: 40, only: null });
    expect(read('--seed 7 --only 3,4')).to.deep.include({ seed: 7, only: [3, 4] });
  });

  it('choose kinds by name or by part', () => {
    expect(read('--kind edge-cut-one --kind clock')).to.have.deep.property('kinds', [
      'edge-cut-one',
      'clock-ahead',
      'clock-behind',
    ]);
    expect(read('--without edge')).to.have.deep.property(
      'kinds',
      faultKinds.filter((kind) => !kind.startsWith('edge-')),
    );
  });

  const refused: readonly [line: string, says: string][] = [
    ['--seed soon', '--seed: got "soon", expected a whole number from 0 on'],
    ['--kind edgy', '--kind edgy: expected one of threads, process, clock'],
    ['--kind edge --without edge', 'no kind of fault is left'],
    ['--tunnels-per-thread 2', 'expected auto or 1'],
    ['--tunnel', '--tunnel'],
  ];
  for (const [line, says] of refused) {
    it(`refuse ${line}`, () => expect(read(line)).to.be.a('string').that.contains(says));
  }
});
