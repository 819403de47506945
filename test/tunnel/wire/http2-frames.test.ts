import { expect } from 'chai';
import fc from 'fast-check';
import { http2Error } from '../../../src/tunnel/wire/http2-errors.ts';
import { FrameParser } from '../../../src/tunnel/wire/http2-frame-parser.ts';
import {
  goawayFrame,
  pingFrame,
  resetFrame,
  settingsFrame,
  windowUpdateFrame,
} from '../../../src/tunnel/wire/http2-frames.ts';
import { FrameWitness, smallFrameLimits, tellFrames } from '../../support/frame-witness.ts';
import {
  getBlock,
  rawData,
  rawFrame,
  rawHeaders,
  rawPreface,
  rawReset,
  rawSettings,
  rawSettingsAck,
  rawWindowUpdate,
  uint32,
} from '../../support/raw-frames.ts';

/** What is told after preface and first SETTINGS. */
function parseFrames(...frames: Buffer[]): string[] {
  const told = tellFrames(Buffer.concat([rawPreface, rawSettings(), ...frames]));
  expect(told.slice(0, 2)).to.deep.equal(['preface', 'settings ']);
  return told.slice(2);
}

describe('HTTP/2 frames', () => {
  it('are written as cloudflared writes its SETTINGS', () => {
    // Captured from a cloudflared 2026.8.2 (protocol page, section 5).
    const golden =
      '0000240400000000000005001000000003ffffffff000600100140000100001000000400100000000900000001';
    const settings = settingsFrame([
      [5, 1_048_576],
      [3, 4_294_967_295],
      [6, 1_048_896],
      [1, 4096],
      [4, 1_048_576],
      [9, 1],
    ]);
    expect(settings.toString('hex')).to.equal(golden);
    expect(windowUpdateFrame(0, 983_041).toString('hex')).to.equal('000004080000000000000f0001');
  });

  it('are written as the parser reads them', () => {
    expect(
      parseFrames(
        pingFrame(true, Buffer.from('0102030405060708', 'hex')),
        resetFrame(3, 8),
        goawayFrame(2 ** 31 - 1, 11, 'why'),
        windowUpdateFrame(5, 2 ** 31 - 1),
      ),
    ).to.deep.equal([
      'ping true 0102030405060708',
      'reset 3 8',
      'goaway 2147483647 11',
      'window 5 2147483647',
    ]);
  });

  describe('are told', () => {
    const cases: [title: string, frames: Buffer[], told: string[]][] = [
      ['DATA', [rawData(1, Buffer.from('abc'), true)], ['data 1 3 true', 'data ends true 616263']],
      ['empty DATA', [rawData(1, Buffer.alloc(0))], ['data 1 0 false', 'data ends false ']],
      [
        'padded DATA, without the padding',
        [rawFrame(0, 8, 1, Buffer.from('\x02ab\0\0'))],
        ['data 1 5 false', 'data ends false 6162'],
      ],
      [
        'DATA of nothing but padding',
        [rawFrame(0, 9, 1, Buffer.from('\x02\0\0'))],
        ['data 1 3 true', 'data ends true '],
      ],
      ['HEADERS', [rawHeaders(1, Buffer.from('82', 'hex'))], ['headers 1 true false 82']],
      [
        'HEADERS with padding and priority',
        [rawFrame(1, 0x2c, 3, Buffer.from('0100000001ff8200', 'hex'))],
        ['headers 3 false false 82'],
      ],
      [
        'HEADERS that depend on themselves',
        [rawFrame(1, 0x24, 3, Buffer.from('80000003ff82', 'hex'))],
        ['headers 3 false true 82'],
      ],
      [
        'HEADERS and CONTINUATION as one block',
        [
          rawFrame(1, 1, 1, Buffer.from('82', 'hex')),
          rawFrame(9, 0, 1, Buffer.alloc(0)),
          rawFrame(9, 4, 1, Buffer.from('86', 'hex')),
        ],
        ['headers 1 true false 8286'],
      ],
      ['a frame of an unknown type', [rawFrame(0xfa, 0xff, 7, Buffer.alloc(30))], ['ignored']],
      ['an empty frame of an unknown type', [rawFrame(0xfa, 0, 0)], ['ignored']],
      ['PRIORITY', [rawFrame(2, 0, 1, Buffer.alloc(5))], ['ignored']],
      ['PRIORITY of the wrong size', [rawFrame(2, 0, 1, Buffer.alloc(4))], ['stream error 1 6']],
      ['PRIORITY of no size', [rawFrame(2, 0, 1)], ['stream error 1 6']],
      ['PRIORITY on itself', [rawFrame(2, 0, 1, Buffer.from('0000000110', 'hex'))], ['stream error 1 1']],
      ['the reserved bit ignored', [rawWindowUpdate(2 ** 31 + 3, 2 ** 31 + 9)], ['window 3 9']],
      ['SETTINGS ACK', [rawSettingsAck], ['settings ack']],
    ];
    for (const [title, frames, told] of cases) {
      it(title, () => expect(parseFrames(...frames)).to.deep.equal(told));
    }
  });

  describe('end the connection', () => {
    const { protocolError, frameSizeError, enhanceYourCalm } = http2Error;
    const open = rawFrame(1, 1, 1, Buffer.from('82', 'hex'));
    const cases: [title: string, code: number, frames: Buffer[]][] = [
      ['larger than announced', frameSizeError, [rawData(1, Buffer.alloc(70_001))]],
      ['DATA on stream 0', protocolError, [rawData(0, Buffer.alloc(1))]],
      ['DATA with too much padding', protocolError, [rawFrame(0, 8, 1, Buffer.from('\x01'))]],
      ['padded DATA without a pad length', frameSizeError, [rawFrame(0, 8, 1)]],
      ['HEADERS on stream 0', protocolError, [rawHeaders(0)]],
      ['HEADERS with too much padding', protocolError, [rawFrame(1, 0xc, 1, Buffer.from('\x05abc'))]],
      ['HEADERS too short for their priority', frameSizeError, [rawFrame(1, 0x24, 1, Buffer.alloc(4))]],
      [
        'HEADERS whose padding covers the priority',
        protocolError,
        [rawFrame(1, 0x2c, 1, Buffer.from('\x03abcdef'))],
      ],
      ['DATA within a header block', protocolError, [open, rawData(1, Buffer.alloc(1))]],
      ['an unknown frame within a header block', protocolError, [open, rawFrame(0xfa, 0, 1)]],
      ['CONTINUATION of another stream', protocolError, [open, rawFrame(9, 4, 3)]],
      ['CONTINUATION without HEADERS', protocolError, [rawFrame(9, 4, 1)]],
      ['CONTINUATION after END_HEADERS', protocolError, [rawHeaders(1), rawFrame(9, 4, 1)]],
      ['too many empty CONTINUATION', enhanceYourCalm, [open, ...Array(5).fill(rawFrame(9, 0, 1))]],
      ['a header block that is too long', enhanceYourCalm, [rawFrame(1, 1, 1, Buffer.alloc(401))]],
      [
        'a header block that is too long in parts',
        enhanceYourCalm,
        [rawFrame(1, 1, 1, Buffer.alloc(300)), rawFrame(9, 0, 1, Buffer.alloc(101))],
      ],
      ['PRIORITY on stream 0', protocolError, [rawFrame(2, 0, 0, Buffer.alloc(5))]],
      ['RST_STREAM on stream 0', protocolError, [rawReset(0, 8)]],
      ['RST_STREAM of the wrong size', frameSizeError, [rawFrame(3, 0, 1, Buffer.alloc(3))]],
      ['SETTINGS on a stream', protocolError, [rawFrame(4, 0, 1)]],
      ['SETTINGS of the wrong size', frameSizeError, [rawFrame(4, 0, 0, Buffer.alloc(5))]],
      ['SETTINGS ACK with settings', frameSizeError, [rawFrame(4, 1, 0, Buffer.alloc(6))]],
      ['too many settings', enhanceYourCalm, [rawFrame(4, 0, 0, Buffer.alloc(54))]],
      ['PUSH_PROMISE', protocolError, [rawFrame(5, 4, 1, Buffer.alloc(4))]],
      ['PING on a stream', protocolError, [rawFrame(6, 0, 1, Buffer.alloc(8))]],
      ['PING of the wrong size', frameSizeError, [rawFrame(6, 0, 0, Buffer.alloc(7))]],
      ['GOAWAY on a stream', protocolError, [rawFrame(7, 0, 1, Buffer.alloc(8))]],
      ['GOAWAY of the wrong size', frameSizeError, [rawFrame(7, 0, 0, Buffer.alloc(7))]],
      ['WINDOW_UPDATE of the wrong size', frameSizeError, [rawFrame(8, 0, 0, uint32(1).subarray(1))]],
    ];
    for (const [title, code, frames] of cases) {
      it(`when there is ${title}`, () => {
        expect(parseFrames(...frames).at(-1)).to.equal(`connection error ${code}`);
      });
    }

    it('when the preface is another one', () => {
      expect(tellFrames(Buffer.from('GET / HTTP/1.1\r\n'))).to.deep.equal(['connection error 1']);
    });

    it('when the first frame is not SETTINGS', () => {
      expect(tellFrames(Buffer.concat([rawPreface, rawHeaders(1)])).at(-1)).to.equal('connection error 1');
      expect(tellFrames(Buffer.concat([rawPreface, rawSettingsAck])).at(-1)).to.equal('connection error 1');
    });
  });

  it('skips DATA that nobody wants', () => {
    const witness = new FrameWitness();
    witness.refuseData = true;
    const bytes = Buffer.concat([
      rawPreface,
      rawSettings(),
      rawFrame(0, 9, 1, Buffer.from('\x01a\0')),
      rawFrame(0xfa, 0, 0),
    ]);
    expect(tellFrames(bytes, [40, 41, 42, 43, 44, 45], witness).slice(2)).to.deep.equal([
      'data 1 3 true',
      'ignored',
    ]);
  });

  it('tells nothing any more once stopped, also not of the chunk at hand', () => {
    const witness = new FrameWitness();
    const parser = new FrameParser(witness, smallFrameLimits, 'client');
    witness.settings = () => parser.stop();
    parser.push(Buffer.concat([rawPreface, rawSettings(), rawHeaders(1), rawSettings()]));
    parser.push(rawHeaders(3));
    expect(witness.told).to.deep.equal(['preface']);
  });

  const frame = fc.oneof(
    fc
      .tuple(fc.nat(9), fc.nat(255), fc.nat(5), fc.uint8Array({ maxLength: 40 }))
      .map(([type, flags, id, payload]) => rawFrame(type, flags, id, payload)),
    fc.constantFrom(rawHeaders(1, getBlock), rawSettingsAck, rawReset(1, 8), rawWindowUpdate(0, 7)),
    fc
      .tuple(fc.boolean(), fc.uint8Array({ maxLength: 300 }))
      .map(([end, payload]) => rawData(1, payload, end)),
    fc
      .tuple(fc.nat(20), fc.uint8Array({ maxLength: 30 }))
      .map(([padding, payload]) =>
        rawFrame(0, 8, 3, Buffer.concat([Buffer.from([padding]), payload, Buffer.alloc(padding)])),
      ),
  );
  const cuts = fc.array(fc.nat(1500), { maxLength: 30 });

  it('mean the same however they are cut', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 12 }), cuts, (frames, at) => {
        const bytes = Buffer.concat([rawPreface, rawSettings({ 4: 70_000 }), ...frames]);
        expect(tellFrames(bytes, at)).to.deep.equal(tellFrames(bytes));
        // One byte at a time is the worst that can happen.
        expect(tellFrames(bytes, [...bytes.keys()])).to.deep.equal(tellFrames(bytes));
      }),
      { numRuns: 300 },
    );
  });

  it('throw nothing but connection errors, whatever the bytes and the cuts', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), cuts, (bytes, at) => {
        tellFrames(Buffer.concat([rawPreface, rawSettings(), bytes]), at);
      }),
      { numRuns: 1000 },
    );
  });
});
