import { assert } from 'chai';
import { measure } from '../../bench/scale/measure.ts';
import { lackOfFiles, readScaleOptions } from '../../bench/scale/options.ts';
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

  it('says at once that there may be too few open files, how many are needed, and what would fit', () => {
    const asked = { sizes: [100, 5_000], haConnections: 4 };
    const words = lackOfFiles(asked, 20_000) ?? '';
    assert.match(
      words,
      /^5000 Ingresses with 4 connections each need 25350 open files .* limit here is 20000\./,
    );
    assert.match(words, /nofile=25350.*--ha-connections 2$/);
    assert.isNull(lackOfFiles({ ...asked, haConnections: 2 }, 20_000));
    assert.isNull(lackOfFiles(asked, null));
    assert.notMatch(lackOfFiles(asked, 1_024) ?? '', /--ha-connections/);
  });

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
