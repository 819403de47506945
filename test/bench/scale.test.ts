import { assert } from 'chai';
import { measure } from '../../bench/scale/measure.ts';
import { readScaleOptions } from '../../bench/scale/options.ts';
import { linesOf } from '../../bench/scale/words.ts';

describe('bench:scale', () => {
  const refused: [title: string, argv: string[], sentence: RegExp][] = [
    ['too many Ingresses', ['-n', '5001'], /^-n: got "5001", expected 1 to 5000$/],
    ['a phase that there is not', ['--phase', 'warm'], /^--phase: got "warm", expected first, cold/],
    ['a flag that there is not', ['--size', '3'], /--size/],
  ];
  for (const [title, argv, sentence] of refused) {
    it(`refuses ${title}`, () => assert.match(String(readScaleOptions(argv)), sentence));
  }

  it('measures a restart of a small world: all serve, and Cloudflare is hardly asked', async function () {
    this.timeout(120_000);
    const options = readScaleOptions(['-n', '3', '--phase', 'cold', '--ha-connections', '2']);
    if (typeof options === 'string') throw new Error(options);
    const measured = await measure(3, options, () => {});
    const { cold } = measured;
    assert.isAtLeast(cold!.allServedMs, cold!.firstServedMs);
    assert.isAtLeast(cold!.allConnectedMs, cold!.firstServedMs);
    assert.isAtMost(cold!.calls.cloudflare, 5);
    assert.isNull(measured.roll);
    assert.match(linesOf(measured, measured).join('\n'), /cold {4}served from/);
  });
});
