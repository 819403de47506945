import assert from 'node:assert/strict';
import type { Writable } from 'node:stream';
import * as ws from 'ws';
import { ClientFrameReader } from '../../src/tunnel/wire/websocket-frames.ts';
import { clientFrame } from '../../test/support/client-frames.ts';
import { mutated, words } from '../mutate-bytes.ts';
import { inPieces } from '../pieces.ts';
import type { FuzzTarget } from '../target.ts';

const sizes = [0, 1, 2, 125, 126, 127, 300];
const opcodes = [0, 0, 1, 2, 2, 2, 8, 9, 9, 10, 3];
const dictionary = words(
  '\x82\xfe',
  '\x82\xff',
  '\x89\x80',
  '\x88\x82',
  '\x80\x80',
  '\x00\x80',
  '\xff\xff\xff\xff',
);

interface Told {
  readonly events: string[];
  readonly binary: Buffer;
}

function read(pieces: readonly Buffer[]): Told {
  const events: string[] = [];
  const binary: Buffer[] = [];
  const reader = new ClientFrameReader({
    binary: (payload) => void binary.push(Buffer.from(payload)),
    ping: (payload) => void events.push(`ping ${payload.toString('hex')}`),
    close: (code) => void events.push(`close ${code}`),
    broken: (code) => void events.push(`broken ${code}`),
  });
  for (const piece of pieces) reader.feed(piece);
  return { events, binary: Buffer.concat(binary) };
}

/** What a WebSocket client sends to a `tcp` backend. */
export const clientFrames: FuzzTarget = {
  name: 'client-frames',
  make(random) {
    const frames = random.several(6, () =>
      clientFrame({
        opcode: random.pick(opcodes),
        payload: Buffer.alloc(random.pick(sizes), random.below(256)),
        final: !random.oneIn(3),
        mask: random.oneIn(10) ? null : [random.below(256), random.below(256), random.below(256), 0],
        reserved: random.oneIn(15) ? 1 + random.below(7) : 0,
      }),
    );
    const bytes = Buffer.concat(frames);
    return random.oneIn(3) ? bytes : mutated(bytes, random, dictionary);
  },
  async check(input) {
    const whole = read([Buffer.from(input)]);
    assert.deepEqual(read(inPieces(input)), whole);
    assert.ok(whole.binary.length <= input.length);
    const endings = whole.events.filter((event) => !event.startsWith('ping'));
    assert.ok(endings.length <= 1);
    if (endings.length === 1) assert.equal(whole.events.at(-1), endings[0]);
    for (const event of whole.events) assert.ok(event.length <= 'ping '.length + 2 * 125);
    await isReadAsByWs(input, whole);
  },
};

/** Exported, but not among the package's types. */
const { Receiver } = ws as unknown as { Receiver: new (options: object) => Writable };

/** The well-known implementation tells whole messages, we tell their pieces; they agree on what is a breach. */
async function isReadAsByWs(input: Buffer, ours: Told): Promise<void> {
  const events: string[] = [];
  const binary: Buffer[] = [];
  let broken = false;
  const receiver = new Receiver({ isServer: true, skipUTF8Validation: true, maxPayload: 0 });
  receiver.on('message', (data: Buffer, isBinary: boolean) => {
    if (isBinary) binary.push(Buffer.from(data));
  });
  receiver.on('ping', (data: Buffer) => events.push(`ping ${data.toString('hex')}`));
  receiver.on('conclude', (code: number) => events.push(`close ${code === 1005 ? null : code}`));
  receiver.on('error', () => {
    broken = true;
  });
  receiver.write(Buffer.from(input));
  await new Promise((resolve) => setImmediate(resolve));
  receiver.destroy();
  const messages = Buffer.concat(binary);
  assert.ok(ours.binary.subarray(0, messages.length).equals(messages), 'other bytes');
  const last = ours.events.at(-1) ?? '';
  if (broken) {
    // A length that is too large we judge with the rest of its head.
    const complete = read([Buffer.from(input), Buffer.alloc(14)]);
    assert.match(complete.events.at(-1) ?? '', /^broken/, 'ws refuses it');
  } else if (last !== 'broken 1007') {
    // 1007: ws was not asked to look into the reason of a close.
    assert.deepEqual(ours.events, events);
  }
}
