import { expect } from 'chai';
import { HpackEncoder } from '../../../src/tunnel/wire/hpack-encoder.ts';
import { headersFit } from '../../../src/tunnel/wire/http2-header-bounds.ts';

const sized = (bytes: number) => ['x-large', '\xff'.repeat(bytes)];
const goAnnounces = 10 * 1024 * 1024;

describe('what a peer takes as headers', () => {
  it('is a field of 64 KiB as encoded, unless it announces as much as Go', () => {
    expect(headersFit(sized(65_536), null)).to.equal(true);
    expect(headersFit(sized(65_537), null)).to.equal(false);
    expect(headersFit(sized(65_537), 1 << 20)).to.equal(false);
    expect(headersFit(sized(700_000), goAnnounces)).to.equal(true);
  });

  it('counts a field as it is sent: what Huffman code makes shorter is taken', () => {
    const text = 'e'.repeat(100_000);
    expect(HpackEncoder.stringBytes(text)).to.be.below(65_536);
    expect(headersFit(['x-large', text], null)).to.equal(true);
  });

  it('is a list of the size that it announces, with 32 for each field and the status', () => {
    const exactly = 42 + 7 + 100 + 32;
    expect(headersFit(sized(100), exactly)).to.equal(true);
    expect(headersFit(sized(100), exactly - 1)).to.equal(false);
    expect(headersFit([...sized(100), ...sized(100)], exactly)).to.equal(false);
  });
});
