import { assert } from 'chai';
import type { Fault } from '../../src/fault.ts';
import {
  ControlStream,
  finalRefusalRetryMs,
  maxRetryAfterMs,
  type RegisteredDetails,
  rpcTimeoutMs,
} from '../../src/tunnel/control-stream.ts';
import { Reframer } from '../../src/tunnel/wire/capnp-framing.ts';
import { setting } from '../../src/tunnel/wire/http2-frames.ts';
import {
  encodeBootstrapResults,
  encodeEmptyResults,
  encodeRegistrationResult,
  type Registration,
  type RegistrationResult,
} from '../../src/tunnel/wire/registration.ts';
import {
  decodeRpcMessage,
  encodeAbort,
  encodeBootstrap,
  encodeReturnedException,
  encodeUnimplemented,
  type RpcMessage,
} from '../../src/tunnel/wire/rpc-messages.ts';
import { valueIn } from '../support/decoded-value.ts';
import { sessionOn, socketPair } from '../support/edge-peer.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { RawEdge } from '../support/raw-edge.ts';
import { postBlock, rawData, rawFrame, rawHeaders, rawWindowUpdate } from '../support/raw-frames.ts';
import { RecordedStream } from '../support/recorded-stream.ts';

const registration: Registration = {
  accountTag: 'account',
  tunnelSecret: Buffer.alloc(32, 1),
  tunnelId: '11111111-2222-4333-8444-555555555555',
  connIndex: 0,
  client: {
    clientId: 'b7f6b2d3-27a2-4dd3-a69b-5c97600d79d1',
    features: ['serialized_headers'],
    version: 'test',
    arch: 'linux_amd64',
  },
  originLocalIp: Buffer.alloc(16),
  replaceExisting: false,
  compressionQuality: 0,
  numPreviousAttempts: 0,
};

const registered: RegistrationResult = {
  kind: 'registered',
  connectionId: '00112233-4455-6677-8899-aabbccddeeff',
  locationName: 'lax01',
  remotelyManaged: false,
};

const refused = (cause: string, retryAfterSeconds = 0, shouldRetry = true): RegistrationResult => ({
  kind: 'refused',
  cause,
  retryAfterNanoseconds: BigInt(retryAfterSeconds) * 1_000_000_000n,
  shouldRetry,
});

function open() {
  const clock = new ManualClock();
  const stream = new RecordedStream();
  const heard: { registered: RegisteredDetails[]; lost: Fault[]; refused: Fault[] } = {
    registered: [],
    lost: [],
    refused: [],
  };
  const control = new ControlStream(stream, registration, clock, {
    registered: (details) => heard.registered.push(details),
    lost: (fault) => heard.lost.push(fault),
    configurationRefused: (fault) => heard.refused.push(fault),
  });
  const reframer = new Reframer();
  let read = 0;
  /** What was said since the last call. */
  const said = (): RpcMessage[] => {
    const chunks = stream.written.slice(read);
    read = stream.written.length;
    return chunks.flatMap((chunk) =>
      valueIn(reframer.push(chunk)).map((frame) => valueIn(decodeRpcMessage(frame))),
    );
  };
  return { clock, stream, heard, control, said };
}

/** One that is registered, with what was said until then read. */
function openRegistered() {
  const opened = open();
  opened.control.data(encodeBootstrapResults(0, 7));
  opened.control.data(encodeRegistrationResult(1, registered));
  opened.said();
  return opened;
}

describe('control stream', () => {
  it('bootstraps and registers without waiting, and finishes both questions', () => {
    const { stream, heard, control, said } = open();
    assert.deepEqual(stream.responses, [{ status: 200, ended: false }]);
    const [bootstrap, call] = said();
    assert.deepEqual(bootstrap, { type: 'bootstrap', questionId: 0 });
    if (call?.type !== 'call') throw new Error('no call');
    assert.deepEqual(
      [call.questionId, call.methodId, call.target],
      [1, 0, { kind: 'promised', questionId: 0 }],
    );
    control.data(encodeBootstrapResults(0, 7));
    control.data(encodeRegistrationResult(1, registered));
    assert.deepEqual(said(), [
      { type: 'finish', questionId: 0, releaseResultCaps: false },
      { type: 'finish', questionId: 1, releaseResultCaps: false },
    ]);
    assert.deepEqual(heard.registered, [
      {
        connectionId: registered.kind === 'registered' ? registered.connectionId : '',
        location: 'lax01',
        remotelyManaged: false,
      },
    ]);
  });

  it('takes answers in any order, in one chunk or byte by byte', () => {
    const answers = Buffer.concat([encodeRegistrationResult(1, registered), encodeBootstrapResults(0, 0)]);
    const one = open();
    one.control.data(answers);
    const many = open();
    for (const byte of answers) many.control.data(Buffer.of(byte));
    assert.strictEqual(one.heard.registered.length, 1);
    assert.strictEqual(many.heard.registered.length, 1);
  });

  it('takes of the name of a location what a log line and a label can bear', () => {
    const { heard, control } = open();
    control.data(encodeBootstrapResults(0, 7));
    control.data(encodeRegistrationResult(1, { ...registered, locationName: 'x'.repeat(3000) }));
    assert.equal(heard.registered[0]?.location, 'x'.repeat(200));
  });

  it('unregisters on the imported capability, says goodbye and ends the stream', () => {
    const { clock, stream, heard, control, said } = openRegistered();
    let done = 0;
    control.unregister(() => done++);
    const [call] = said();
    if (call?.type !== 'call') throw new Error('no call');
    assert.deepEqual([call.questionId, call.methodId, call.target], [0, 1, { kind: 'imported', id: 7 }]);
    control.data(encodeEmptyResults(0));
    assert.deepEqual(
      said().map(({ type }) => type),
      ['finish', 'release', 'abort'],
    );
    assert.deepEqual([done, stream.ended, heard.lost.length, clock.pendingTimers], [1, true, 0, 0]);
    control.reset(8);
    control.end();
    assert.deepEqual([done, heard.lost.length], [1, 0]);
  });

  it('is done unregistering when the edge goes away meanwhile, or does not answer', async () => {
    const endings: ((opened: ReturnType<typeof open>) => void | Promise<void>)[] = [
      ({ control }) => control.end(),
      ({ control }) => control.reset(2),
      ({ control }) => control.data(Buffer.alloc(64, 255)),
      ({ clock }) => clock.advance(rpcTimeoutMs),
    ];
    for (const ending of endings) {
      const opened = openRegistered();
      let done = 0;
      opened.control.unregister(() => done++);
      await ending(opened);
      assert.deepEqual([done, opened.heard.lost.length, opened.clock.pendingTimers], [1, 0, 0]);
    }
  });

  it('offers the local configuration and hears that it was not taken', () => {
    const { heard, control, said } = openRegistered();
    control.updateLocalConfiguration(Buffer.from('{}'));
    const [call] = said();
    assert.strictEqual(call?.type === 'call' && call.methodId, 2);
    control.data(encodeReturnedException(0, { reason: 'no', kind: 'failed' }));
    assert.deepEqual(
      heard.refused.map(({ code }) => code),
      ['edge-refused'],
    );
    assert.isEmpty(heard.lost);
  });

  const refusals: [string, RegistrationResult, string, number | undefined][] = [
    ['EDUPCONN', refused('EDUPCONN'), 'edge-duplicate', undefined],
    ['Unauthorized', refused('Unauthorized: Tunnel not found', 0, false), 'edge-unauthorized', undefined],
    ['a refusal', refused('busy'), 'edge-refused', undefined],
    ['a refusal with a wish', refused('busy', 27), 'edge-refused', 27_000],
    ['a refusal with a mad wish', refused('busy', 10 ** 9), 'edge-refused', maxRetryAfterMs],
    ['a refusal with a negative wish', refused('busy', -5), 'edge-refused', undefined],
    ['a final refusal', refused('no', 0, false), 'edge-refused', finalRefusalRetryMs],
  ];
  for (const [title, result, code, retryAfterMs] of refusals) {
    it(`${title} is ${code}${retryAfterMs === undefined ? '' : `, not before ${retryAfterMs} ms`}`, () => {
      const { clock, heard, control } = open();
      control.data(encodeRegistrationResult(1, result));
      assert.deepEqual(
        heard.lost.map((fault) => [fault.code, fault.retryAfterMs]),
        [[code, retryAfterMs]],
      );
      assert.strictEqual(clock.pendingTimers, 0);
    });
  }

  const breaks: [string, Buffer, string][] = [
    ['an exception', encodeReturnedException(1, { reason: 'no', kind: 'failed' }), 'edge-refused'],
    [
      'an exception for Bootstrap',
      encodeReturnedException(0, { reason: 'no', kind: 'failed' }),
      'edge-refused',
    ],
    ['an Abort', encodeAbort({ reason: 'bye', kind: 'failed' }), 'edge-lost'],
    ['an answer to nothing', encodeEmptyResults(42), 'edge-protocol'],
    ['a bootstrap answer without capability', encodeEmptyResults(0), 'edge-protocol'],
    ['an answer of an unknown kind', encodeEmptyResults(1).fill(9, 30, 31), 'edge-protocol'],
    ['noise', Buffer.alloc(64, 0x55), 'edge-protocol'],
  ];
  for (const [title, bytes, code] of breaks) {
    it(`ends once with ${code} on ${title}`, () => {
      const { clock, heard, control } = open();
      control.data(bytes);
      control.data(bytes);
      control.end();
      assert.deepEqual(
        heard.lost.map((fault) => fault.code),
        [code],
      );
      assert.strictEqual(clock.pendingTimers, 0);
    });
  }

  it('ends with edge-timeout when the registration is not answered', async () => {
    const { clock, heard, control } = open();
    control.data(encodeBootstrapResults(0, 0));
    await clock.advance(rpcTimeoutMs);
    assert.deepEqual(
      heard.lost.map(({ code }) => code),
      ['edge-timeout'],
    );
    assert.strictEqual(clock.pendingTimers, 0);
  });

  it('goes on when a configuration is not answered, and takes a late answer for what it is', async () => {
    const { clock, heard, control, said } = openRegistered();
    control.updateLocalConfiguration(Buffer.from('{}'));
    said();
    await clock.advance(rpcTimeoutMs);
    assert.deepEqual(said(), [{ type: 'finish', questionId: 0, releaseResultCaps: true }]);
    assert.deepEqual(
      heard.refused.map(({ code }) => code),
      ['edge-timeout'],
    );
    control.unregister(() => {});
    const [call] = said();
    assert.strictEqual(call?.type === 'call' && call.questionId, 1, 'the open id is not reused');
    control.data(encodeEmptyResults(0));
    assert.isEmpty(said());
    assert.isEmpty(heard.lost);
    control.destroy();
  });

  it('ends with edge-lost when a registered stream is ended or reset by the edge', () => {
    for (const ending of ['end', 'reset'] as const) {
      const { heard, control } = openRegistered();
      control[ending](2);
      assert.deepEqual(
        heard.lost.map(({ code }) => code),
        ['edge-lost'],
      );
    }
  });

  it('takes no more of an edge that takes none of its answers, until it does', async () => {
    const { near, far } = await socketPair();
    const clock = new ManualClock();
    const events = { registered: () => {}, lost: () => {}, configurationRefused: () => {} };
    const { session } = sessionOn(near, (stream) => new ControlStream(stream, registration, clock, events), {
      clock,
    });
    const edge = new RawEdge(far);
    const takenBytes = (): number =>
      edge.on(1, 8).reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0);
    try {
      edge.shakeHands({ [setting.initialWindowSize]: 0 });
      edge.send(rawHeaders(1, postBlock, false));
      // Nearly a whole window of them.
      const questions = Buffer.concat(Array.from({ length: 20_000 }, (_, id) => encodeBootstrap(id)));
      for (let at = 0; at < questions.length; at += 16_384)
        edge.send(rawData(1, questions.subarray(at, at + 16_384)));
      edge.send(rawFrame(6, 0, 0, Buffer.alloc(8)));
      await edge.frame(6, 0);
      assert.isBelow(takenBytes(), 128 * 1024);
      edge.send(rawWindowUpdate(0, 2 ** 30), rawWindowUpdate(1, 2 ** 30));
      await eventually('it goes on', () => takenBytes() > questions.length / 2);
    } finally {
      session.destroy();
      await edge.close();
    }
    assert.strictEqual(clock.pendingTimers, 0);
  });

  it('answers what it does not implement, and goes on', () => {
    const { heard, control, said } = openRegistered();
    control.data(encodeBootstrap(3));
    const disembargo = encodeBootstrap(4);
    disembargo.writeUInt16LE(13, 16);
    control.data(disembargo);
    const unimplemented = encodeUnimplemented(encodeAbort({ reason: 'x', kind: 'failed' }));
    control.data(unimplemented);
    assert.deepEqual(
      said().map(({ type }) => type),
      ['return', 'unimplemented'],
    );
    assert.isEmpty(heard.lost);
  });
});
