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
      faultKinds.filter((kind) => !kind.startsWith('edge-') && !kind.startsWith('leader-')),
    );
  });

  it('leave out what the arena has nothing of', () => {
    const alone = read('--pods 1') as ChaosOptions;
    expect(alone.kinds).to.include.members(['controller-killed', 'only-pod-killed']);
    expect(alone.kinds).to.not.include.members(['leader-killed', 'pod-killed']);
    const several = read('--replicas 2 --pods 2') as ChaosOptions;
    expect(several.kinds).to.include.members(['leader-killed', 'pod-killed', 'only-pod-killed']);
    expect(several.kinds).to.not.include('controller-killed');
  });

  const refused: readonly [line: string, says: string][] = [
    ['--seed soon', '--seed: got "soon", expected a whole number from 0 on'],
    ['--kind edgy', '--kind edgy: expected one of threads, process, replicas, clock'],
    ['--kind edge --without edge', 'no kind of fault is left'],
    ['--kind leader-killed', 'no kind of fault is left for --replicas 1'],
    ['--hosts 2 --pods 3', 'no more than the 2 of --hosts'],
    ['--tunnels-per-thread 2', 'expected auto or 1'],
    ['--tunnel', '--tunnel'],
  ];
  for (const [line, says] of refused) {
    it(`refuse ${line}`, () => expect(read(line)).to.be.a('string').that.contains(says));
  }
});
