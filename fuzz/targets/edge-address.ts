import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { parseDurationMs } from '../../src/time/duration.ts';
import { ipv6Bytes } from '../../src/tunnel/edge-connection.ts';
import { parseHostPort } from '../../src/tunnel/edge-discovery.ts';
import { mutated, words } from '../mutate-bytes.ts';
import type { FuzzTarget } from '../target.ts';

const seeds = [
  '127.0.0.1:7844',
  '[::1]:7844',
  'edge.example.com:443',
  '1m30s',
  '500ms',
  'fe80::1%eth0',
  '::ffff:1.2.3.4',
];
const dictionary = words(':', '::', '[', ']', '%', '.', '65536', '0', 'h', 'ms', '1e3', '-', '\n');

/** The short texts that people write into flags: addresses and durations. */
export const edgeAddress: FuzzTarget = {
  name: 'edge-address',
  make: (random) => mutated(Buffer.from(random.pick(seeds)), random, dictionary),
  check(input) {
    const text = input.toString('latin1');
    const target = parseHostPort(text);
    if (target !== null) {
      assert.ok(target.port >= 1 && target.port <= 65_535);
      assert.doesNotMatch(target.host, /[\s[\]]/);
      const isV6 = target.host.includes(':');
      assert.deepEqual(parseHostPort(`${isV6 ? `[${target.host}]` : target.host}:${target.port}`), target);
    }
    const ms = parseDurationMs(text);
    assert.ok(ms === null || (Number.isFinite(ms) && ms >= 0));
    const bytes = ipv6Bytes(text);
    assert.ok(bytes.length === 0 || bytes.length === 16);
    if (isIP(text) !== 0) assert.equal(bytes.length, 16, 'an address is not known as one');
  },
};
