import { expect } from 'chai';
import { bySeniority, mergeHost } from '../../src/domain/claims.ts';
import { ingress, rule } from '../support/actor-house.ts';

const host = 'app.example.com';
const exact = (path: string) => ({ ...rule(), path, match: 'exact' as const });
const prefix = (path: string) => ({ ...rule(), path });
const spec = (key: string, ...paths: ReturnType<typeof rule | typeof exact>[]) =>
  ingress(key, [], { hosts: [{ host, paths }] });

/** `rules from seniority`: which paths are served, and which are lost to whom. */
function merged(...seniority: ReturnType<typeof spec>[]) {
  const { rules, lost } = mergeHost(host, seniority);
  return {
    served: rules.paths.map(({ match, path }) => `${match} ${path}`),
    lost: lost.map(({ from, path, to, because }) => `${from} ${path} to ${to}: ${because}`),
  };
}

describe('claims', () => {
  const aged = (key: string, createdAtMs: number, uid: string) => ingress(key, [], { createdAtMs, uid });
  const order = (claimants: ReturnType<typeof aged>[], incumbent: string | null) =>
    bySeniority(claimants, incumbent).map(({ key }) => key);

  it('go to the oldest Ingress, whoever comes first and whoever has the host', () => {
    expect(order([aged('young', 2, 'a'), aged('old', 1, 'b')], 'young')).to.deep.equal(['old', 'young']);
  });
  it('of the same age go to the lower uid, so that all replicas agree', () => {
    expect(order([aged('b', 1, 'b'), aged('a', 1, 'a')], null)).to.deep.equal(['a', 'b']);
  });
  it('of the same age stay with whoever has the host', () => {
    expect(order([aged('a', 1, 'a'), aged('b', 1, 'b')], 'b')).to.deep.equal(['b', 'a']);
  });
});

describe('one host in several Ingresses', () => {
  it('has the paths of all of them', () => {
    expect(merged(spec('old', prefix('/')), spec('young', prefix('/shop')))).to.deep.equal({
      served: ['prefix /', 'prefix /shop'],
      lost: [],
    });
  });
  it('gives a path that two want to the older', () => {
    expect(merged(spec('old', prefix('/a')), spec('young', prefix('/a'), prefix('/b')))).to.deep.equal({
      served: ['prefix /a', 'prefix /b'],
      lost: ['young /a to old: path'],
    });
  });
  it('takes exact and prefix of one path for two', () => {
    expect(merged(spec('old', prefix('/a')), spec('young', exact('/a'))).served).to.deep.equal([
      'prefix /a',
      'exact /a',
    ]);
  });
  it('lets the middle one win over the youngest', () => {
    expect(
      merged(spec('old', prefix('/')), spec('mid', prefix('/a')), spec('young', prefix('/a'))).lost,
    ).to.deep.equal(['young /a to mid: path']);
  });
  it('counts the first of two equal paths of one Ingress, and blames nobody', () => {
    expect(merged(spec('old', prefix('/a'), prefix('/a')))).to.deep.equal({
      served: ['prefix /a'],
      lost: [],
    });
  });
  it('keeps each path with the settings of its own Ingress', () => {
    const young = spec('young', prefix('/b'));
    const { rules } = mergeHost(host, [spec('old', prefix('/a')), young]);
    expect(rules.paths.map(({ settings }) => settings)).to.deep.equal([undefined, young.settings]);
  });
  describe('with an Access protection', () => {
    const old = spec('old', prefix('/a'));
    const young = spec('young', prefix('/b'));
    const guarded = (by: ReturnType<typeof spec>, team: string, ...audience: string[]) => ({
      ...by,
      settings: { ...by.settings, access: { team, audience } },
    });
    const unshared = { served: ['prefix /a'], lost: ['young /b to old: access'] };

    it('is shared by Ingresses that want the same one, in whatever order they name the audiences', () => {
      const { served } = merged(guarded(old, 't', 'a', 'b'), guarded(young, 't', 'b', 'a'));
      expect(served).to.deep.equal(['prefix /a', 'prefix /b']);
    });
    it('is not shared where only one wants it', () => {
      expect(merged(old, guarded(young, 't', 'a'))).to.deep.equal(unshared);
    });
    it('is not shared with another team', () => {
      expect(merged(guarded(old, 't', 'a'), guarded(young, 'u', 'a'))).to.deep.equal(unshared);
    });
    it('is not shared with other audiences', () => {
      expect(merged(guarded(old, 't', 'a'), guarded(young, 't', 'a', 'b'))).to.deep.equal(unshared);
    });
  });
  const byDefault = { ...rule('other'), isDefault: true as const };
  it('gives a path that has a rule to the rule, whatever the age of the default backend', () => {
    expect(merged(spec('old', byDefault), spec('young', prefix('/')))).to.deep.equal({
      served: ['prefix /'],
      lost: ['old / to young: default'],
    });
    const { rules } = mergeHost(host, [spec('old', byDefault), spec('young', prefix('/'))]);
    expect(rules.paths.map(({ backend }) => backend.service)).to.deep.equal(['web']);
    expect(merged(spec('old', prefix('/')), spec('young', byDefault)).lost).to.deep.equal([
      'young / to old: default',
    ]);
  });
  it('gives what no rule matches to the oldest default backend, which makes way for the oldest rule', () => {
    const defaults = [spec('old', byDefault), spec('mid', byDefault)];
    expect(merged(...defaults).lost).to.deep.equal(['mid / to old: path']);
    expect(merged(...defaults, spec('young', prefix('/')), spec('last', prefix('/'))).lost).to.deep.equal([
      'mid / to old: path',
      'old / to young: default',
      'last / to young: path',
    ]);
  });
  it('is nobody’s when nobody names it', () => {
    expect(merged()).to.deep.equal({ served: [], lost: [] });
  });
});
