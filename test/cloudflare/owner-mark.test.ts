import { expect } from 'chai';
import fc from 'fast-check';
import { markContent, markName, parseMark } from '../../src/cloudflare/owner-mark.ts';

describe('the owner mark', () => {
  it('stands at a name of its own for a host, an apex and a wildcard', () => {
    expect(markName('app.example.com', 'example.com')).to.equal('_cloudflare-warp.app.example.com');
    expect(markName('example.com', 'example.com')).to.equal('_cloudflare-warp.example.com');
    expect(markName('*.example.com', 'example.com')).to.equal('_cloudflare-warp._wildcard.example.com');
  });

  it('stands under a hash in the zone when its name would be too long for DNS', () => {
    const host = `${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(50)}.example.com`;
    const name = markName(host, 'example.com');
    expect(name).to.match(/^_cloudflare-warp\.[0-9a-f]{20}\.example\.com$/);
  });

  it('reads as written', () => {
    const mark = { owner: '6f1c', host: '*.example.com', record: 'ab12' };
    expect(markContent(mark)).to.equal(
      '"heritage=cloudflare-warp-ingress,owner=6f1c,host=*.example.com,record=ab12"',
    );
  });

  it('survives the way there and back, whatever the identity, with or without the quotes', () => {
    const word = fc.string({ minLength: 1, maxLength: 300, unit: 'grapheme' });
    fc.assert(
      fc.property(word, word, (owner, host) => {
        const mark = { owner, host, record: 'r1' };
        const content = markContent(mark);
        for (const part of content.match(/"[^"]*"/g) ?? []) expect(part.length).to.be.at.most(257);
        expect(parseMark(content)).to.deep.equal(mark);
        if (!content.includes('" "')) expect(parseMark(content.slice(1, -1))).to.deep.equal(mark);
      }),
    );
  });

  it('is not seen in other TXT records', () => {
    for (const content of ['', '"v=spf1 -all"', '"heritage=external-dns,owner=x,host=y"', 'owner=x,host=y']) {
      expect(parseMark(content)).to.equal(null);
    }
  });
});
