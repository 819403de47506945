import { expect } from 'chai';
import fc from 'fast-check';
import {
  acceptOf,
  binaryHead,
  ClientFrameReader,
  closeFrame,
  pingFrame,
  pongFrame,
} from '../../../src/tunnel/wire/websocket-frames.ts';
import { binaryMessage, clientFrame, opcodes, readServerFrames } from '../../support/client-frames.ts';

/** What a reader tells of these bytes, cut at these places. */
function read(bytes: Uint8Array, cuts: readonly number[] = []) {
  const told: string[] = [];
  const binary: Buffer[] = [];
  const reader = new ClientFrameReader({
    binary: (payload) => void binary.push(Buffer.from(payload)),
    ping: (payload) => void told.push(`ping ${payload.toString('latin1')}`),
    close: (code) => void told.push(`close ${code}`),
    broken: (code) => void told.push(`broken ${code}`),
  });
  // A copy, because the reader writes into what it is given.
  const given = Buffer.from(bytes);
  const places = [0, ...cuts.map((cut) => cut % (given.length + 1)).sort((a, b) => a - b), given.length];
  for (let i = 0; i + 1 < places.length; i += 1) reader.feed(given.subarray(places[i], places[i + 1]));
  return { told, binary: Buffer.concat(binary) };
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('WebSocket frames', () => {
  describe('of a client', () => {
    // RFC 6455, section 5.7; the masking key of its examples is 37 fa 21 3d.
    for (const [title, bytes, told, binary] of [
      ['a masked text message, discarded', '81 85 37fa213d 7f9f4d5158', [], ''],
      ['a masked pong, discarded', '8a 85 37fa213d 7f9f4d5158', [], ''],
      ['a masked ping', '89 85 37fa213d 7f9f4d5158', ['ping Hello'], ''],
      ['a binary message', '82 85 37fa213d 7f9f4d5158', [], 'Hello'],
      ['a message in two pieces', '02 83 37fa213d 7f9f4d 80 82 37fa213d 5b95', [], 'Hello'],
      [
        'a ping between two pieces',
        '02 83 37fa213d 7f9f4d 8980 37fa213d 80 82 37fa213d 5b95',
        ['ping '],
        'Hello',
      ],
      ['a text message in pieces, discarded', '01 81 37fa213d 7f 80 81 37fa213d 52', [], ''],
      ['an empty message', '82 80 37fa213d', [], ''],
      ['a close with a code', '88 82 37fa213d 3412', ['close 1000'], ''],
      ['a close without a code', '88 80 37fa213d', ['close null'], ''],
      ['nothing after a close', '88 80 37fa213d 82 81 37fa213d 7f', ['close null'], ''],
    ] as const) {
      it(`are read: ${title}`, () => {
        const seen = read(hex(bytes));
        expect(seen.told).to.deep.equal(told);
        expect(seen.binary.toString('latin1')).to.equal(binary);
      });
    }

    const hostile: [title: string, bytes: Buffer, code: number][] = [
      ['is not masked', clientFrame({ opcode: opcodes.binary, payload: Buffer.from('x'), mask: null }), 1002],
      ['has its first reserved bit set', clientFrame({ opcode: opcodes.binary, reserved: 4 }), 1002],
      ['has its last reserved bit set', clientFrame({ opcode: opcodes.ping, reserved: 1 }), 1002],
      ...[3, 7, 11, 15].map((opcode): [string, Buffer, number] => [
        `has opcode ${opcode}`,
        clientFrame({ opcode }),
        1002,
      ]),
      ['is a ping of 126 bytes', clientFrame({ opcode: opcodes.ping, payload: Buffer.alloc(126) }), 1002],
      ['is a fragmented close', clientFrame({ opcode: opcodes.close, final: false }), 1002],
      ['continues nothing', clientFrame({ opcode: opcodes.continuation }), 1002],
      [
        'begins a message within another',
        Buffer.concat([
          clientFrame({ opcode: opcodes.binary, final: false }),
          binaryMessage(Buffer.from('x')),
        ]),
        1002,
      ],
      ['has a length of 64 bits', hex('82 ff 8000000000000000 37fa213d'), 1002],
      ['has a length that no number holds', hex('82 ff 7fffffffffffffff 37fa213d'), 1009],
      ['is a close of one byte', clientFrame({ opcode: opcodes.close, payload: hex('03') }), 1002],
      ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000].map((code): [string, Buffer, number] => {
        const payload = Buffer.from([code >> 8, code & 0xff]);
        return [`closes with ${code}`, clientFrame({ opcode: opcodes.close, payload }), 1002];
      }),
      [
        'closes for a reason that is not UTF-8',
        clientFrame({ opcode: opcodes.close, payload: hex('03e8 ff') }),
        1007,
      ],
    ];
    for (const [title, bytes, code] of hostile) {
      it(`are refused with ${code} when one ${title}`, () => {
        const after = binaryMessage(Buffer.from('more'));
        expect(read(Buffer.concat([bytes, after]))).to.deep.equal({
          told: [`broken ${code}`],
          binary: Buffer.alloc(0),
        });
      });
    }

    it('give the same bytes however messages are fragmented, interrupted and cut', () => {
      const piece = fc.record({
        payload: fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc.integer({ min: 65_530, max: 65_540 }).map((size) => new Uint8Array(size).fill(size & 0xff)),
        ),
        ping: fc.option(fc.uint8Array({ maxLength: 125 })),
        mask: fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)),
      });
      const message = fc.record({
        text: fc.boolean(),
        pieces: fc.array(piece, { minLength: 1, maxLength: 4 }),
      });
      const check = fc.property(
        fc.array(message, { maxLength: 5 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        (messages, cuts) => {
          const frames: Buffer[] = [];
          const binary: Uint8Array[] = [];
          const pings: string[] = [];
          for (const { text, pieces } of messages) {
            pieces.forEach(({ payload, ping, mask }, index) => {
              const opcode = index > 0 ? opcodes.continuation : text ? opcodes.text : opcodes.binary;
              const final = index === pieces.length - 1;
              frames.push(clientFrame({ opcode, payload, final, mask }));
              if (!text) binary.push(payload);
              if (ping === null) return;
              frames.push(clientFrame({ opcode: opcodes.ping, payload: ping, mask }));
              pings.push(`ping ${Buffer.from(ping).toString('latin1')}`);
            });
          }
          const seen = read(Buffer.concat(frames), cuts);
          expect(seen.told).to.deep.equal(pings);
          expect(seen.binary.equals(Buffer.concat(binary))).to.equal(true);
        },
      );
      fc.assert(check, { numRuns: 60 });
    });

    it('never throw, whatever comes', () => {
      const check = fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        (bytes, cuts) => {
          const once = read(bytes);
          expect(read(bytes, cuts)).to.deep.equal(once);
          expect(once.told.filter((told) => !told.startsWith('ping')).length).to.be.lessThan(2);
        },
      );
      fc.assert(check, { numRuns: 500 });
    });
  });

  describe('of a server', () => {
    it('are not masked and as short as their length allows', () => {
      expect(pingFrame()).to.deep.equal(hex('8900'));
      // RFC 6455, section 5.7: "Unmasked Ping request and masked Ping response", with the roles changed.
      expect(pongFrame(Buffer.from('Hello'))).to.deep.equal(hex('8a05 48656c6c6f'));
      expect(closeFrame(1000)).to.deep.equal(hex('8802 03e8'));
      expect(closeFrame(null)).to.deep.equal(hex('8800'));
      expect(binaryHead(125)).to.deep.equal(hex('827d'));
      expect(binaryHead(256)).to.deep.equal(hex('827e 0100'));
      expect(binaryHead(65_535)).to.deep.equal(hex('827e ffff'));
      expect(binaryHead(65_536)).to.deep.equal(hex('827f 0000000000010000'));
    });

    it('are what a reader of another hand reads', () => {
      const check = fc.property(fc.integer({ min: 0, max: 70_000 }), (size) => {
        const payload = Buffer.alloc(size, 7);
        const { frames, rest } = readServerFrames(Buffer.concat([binaryHead(size), payload]));
        expect(rest.length).to.equal(0);
        expect(frames).to.have.length(1);
        expect(frames[0]!.opcode).to.equal(opcodes.binary);
        expect(frames[0]!.payload.equals(payload)).to.equal(true);
      });
      fc.assert(check, { numRuns: 50 });
    });
  });

  it('accept a handshake as RFC 6455, section 1.3, has it', () => {
    expect(acceptOf('dGhlIHNhbXBsZSBub25jZQ==')).to.equal('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  });
});
