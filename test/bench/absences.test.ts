import { expect } from 'chai';
import { Absences, quantile } from '../../bench/scale/absences.ts';

describe('absences of connections in bench:scale', () => {
  it('tells those that were lost from those that were moved, also of one connection', () => {
    const absences = new Absences();
    absences.lost('a/0', 100);
    absences.lost('a/2', 100);
    absences.left('b/1', 150);
    expect(absences.missing).to.equal(2);
    absences.opened('a/0', 400);
    absences.opened('b/1', 170);
    absences.left('a/0', 500);
    absences.opened('a/0', 530);
    expect(absences.missing).to.equal(1);
    absences.opened('a/2', 900);
    expect(absences).to.deep.include({ missing: 0, lostForMs: [300, 800], movedForMs: [20, 30] });
  });

  it('waits for nobody who is back before the end of its predecessor is noticed', () => {
    const absences = new Absences();
    absences.opened('a/0', 100);
    absences.opened('b/0', 100);
    absences.lost('a/0', 110);
    absences.left('b/0', 110);
    expect(absences).to.deep.include({ missing: 0, lostForMs: [0], movedForMs: [0] });
  });

  it('has no quantile of nothing', () => {
    expect([quantile([], 0.5), quantile([3, 1, 2], 0.5), quantile([3, 1, 2], 1)]).to.deep.equal([null, 2, 3]);
  });
});
