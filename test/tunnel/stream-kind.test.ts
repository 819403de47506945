import { assert } from 'chai';
import { type StreamKind, streamKind } from '../../src/tunnel/stream-kind.ts';

const upgrade = 'cf-cloudflared-proxy-connection-upgrade';
const source = 'cf-cloudflared-proxy-src';

describe('stream kind: first match wins', () => {
  const cases: [string[], StreamKind][] = [
    [[], 'http'],
    [['accept', '*/*'], 'http'],
    [[upgrade, 'control-stream'], 'control'],
    [[upgrade, 'websocket'], 'websocket'],
    [[upgrade, 'update-configuration'], 'configuration'],
    [[upgrade, 'Control-Stream'], 'http'],
    [[upgrade, 'configuration-update'], 'http'],
    [[source, '10.0.0.1'], 'tcp'],
    [[source, ''], 'http'],
    [[source, 'x', upgrade, 'control-stream'], 'tcp'],
    [[source, 'x', upgrade, 'websocket'], 'websocket'],
    [['x-other', upgrade, 'x-more', 'control-stream'], 'http'],
  ];
  for (const [headers, kind] of cases) {
    it(`${JSON.stringify(headers)} is ${kind}`, () => assert.strictEqual(streamKind(headers), kind));
  }
});
