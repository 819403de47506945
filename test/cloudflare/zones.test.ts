import { expect } from 'chai';
import { longestZone } from '../../src/cloudflare/zones.ts';

const zones = ['example.com', 'sub.example.com', 'ample.com', 'example.net'].map((name) => ({
  id: name,
  name,
  accountId: '',
}));

describe('the zone of a host', () => {
  const cases: readonly [string, string | null][] = [
    ['app.example.com', 'example.com'],
    ['example.com', 'example.com'],
    ['a.b.c.example.com', 'example.com'],
    ['app.sub.example.com', 'sub.example.com'],
    ['sub.example.com', 'sub.example.com'],
    ['*.sub.example.com', 'sub.example.com'],
    ['*.example.com', 'example.com'],
    ['notsub.example.com', 'example.com'],
    ['notexample.com', null],
    ['example.com.evil.org', null],
    ['com', null],
  ];
  for (const [host, zone] of cases) {
    it(`of ${host} is ${zone ?? 'none'}`, () => {
      expect(longestZone(host, zones)?.name ?? null).to.equal(zone);
    });
  }
});
