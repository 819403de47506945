import { assert } from 'chai';
import fc from 'fast-check';
import { pathOfBytes, pathOfText } from '../../src/domain/url-path.ts';

describe('a path as it is compared', () => {
  const texts: readonly [written: string, compared: string][] = [
    ['/foo', '/foo'],
    ['/caf\u00e9', '/caf%C3%A9'],
    ['/caf%c3%a9', '/caf%C3%A9'],
    ['/a b', '/a%20b'],
    ['/\u{1f600}', '/%F0%9F%98%80'],
    ['/a?b#c', '/a%3Fb%23c'],
    ['/100%', '/100%25'],
    ['/\ud800', '/%EF%BF%BD'],
    ['//a;b=c/..,', '//a;b=c/..,'],
  ];
  for (const [written, compared] of texts) {
    it(`is ${compared} where ${JSON.stringify(written)} is written`, () => {
      assert.equal(pathOfText(written), compared);
    });
  }

  it('is the same for what a browser sends, and for the bytes of that', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const written = `/${text.replace(/[%?#\\]/g, '')}`;
        const bytes = Buffer.from(written.toWellFormed()).toString('latin1');
        assert.equal(pathOfBytes(bytes), pathOfText(written));
        assert.equal(pathOfText(pathOfText(written)), pathOfText(written));
      }),
    );
  });
});
