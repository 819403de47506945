import { assert } from 'chai';
import {
  decodeBootstrapResults,
  decodeRegisterConnection,
  decodeRegistrationResult,
  registrationInterface,
} from '../../../src/tunnel/wire/registration.ts';
import { decodeRpcMessage, type RpcCall, type RpcReturn } from '../../../src/tunnel/wire/rpc-messages.ts';
import { valueIn } from '../../support/decoded-value.ts';
import { goldenMessages } from '../../support/golden-messages.ts';

describe('wire: messages recorded from real peers', () => {
  const golden = goldenMessages();
  const frame = (name: string): Buffer => golden.get(name) as Buffer;
  const call = (name: string): RpcCall => valueIn(decodeRpcMessage(frame(name))) as RpcCall;
  const results = (name: string) => {
    const message = valueIn(decodeRpcMessage(frame(name))) as RpcReturn;
    assert.strictEqual(message.type, 'return');
    if (message.result.kind !== 'results') throw new Error(`${name} has no results`);
    return { message, payload: message.result.payload };
  };

  it('V1 is Bootstrap, question 0', () => {
    assert.deepEqual(valueIn(decodeRpcMessage(frame('V1'))), { type: 'bootstrap', questionId: 0 });
  });

  it('V2 answers question 0 with a capability that the edge hosts as export 0', () => {
    const { message, payload } = results('V2');
    assert.strictEqual(message.answerId, 0);
    assert.strictEqual(message.releaseParamCaps, false);
    assert.deepEqual(payload.capTable, [{ kind: 'senderHosted', id: 0 }]);
    assert.strictEqual(valueIn(decodeBootstrapResults(payload)), 0);
  });

  it('V3 calls registerConnection, pipelined on question 0', () => {
    const message = call('V3');
    assert.strictEqual(message.questionId, 1);
    assert.deepEqual(message.target, { kind: 'promised', questionId: 0 });
    assert.strictEqual(message.interfaceId, registrationInterface);
    assert.strictEqual(message.methodId, 0);
    assert.deepEqual(message.params.capTable, []);
    assert.deepEqual(valueIn(decodeRegisterConnection(message.params)), {
      accountTag: '0123456789abcdef0123456789abcdef',
      tunnelSecret: Buffer.from(Array.from({ length: 32 }, (_, index) => index)),
      tunnelId: '11111111-2222-4333-8444-555555555555',
      connIndex: 0,
      client: {
        clientId: 'b7f6b2d3-27a2-4dd3-a69b-5c97600d79d1',
        features: [
          'support_datagram_v2',
          'support_quic_eof',
          'management_logs',
          'allow_remote_config',
          'serialized_headers',
        ],
        version: 'DEV',
        arch: 'linux_amd64',
      },
      originLocalIp: Buffer.from('00000000000000000000ffff7f000001', 'hex'),
      replaceExisting: false,
      compressionQuality: 0,
      numPreviousAttempts: 0,
    });
  });

  it('V4 says registered, not remotely managed', () => {
    const { message, payload } = results('V4');
    assert.strictEqual(message.answerId, 1);
    assert.deepEqual(valueIn(decodeRegistrationResult(payload)), {
      kind: 'registered',
      connectionId: '00112233-4455-6677-8899-aabbccddeeff',
      locationName: 'lax01',
      remotelyManaged: false,
    });
  });

  it('V5 refuses and asks for another attempt in 27 s', () => {
    assert.deepEqual(valueIn(decodeRegistrationResult(results('V5').payload)), {
      kind: 'refused',
      cause: 'retryable',
      retryAfterNanoseconds: 27_000_000_000n,
      shouldRetry: true,
    });
  });

  it('V6 refuses for good', () => {
    assert.deepEqual(valueIn(decodeRegistrationResult(results('V6').payload)), {
      kind: 'refused',
      cause: 'Unauthorized: Invalid tunnel secret',
      retryAfterNanoseconds: 0n,
      shouldRetry: false,
    });
  });

  it('V7 finishes question 0 and keeps its capabilities', () => {
    const expected = { type: 'finish', questionId: 0, releaseResultCaps: false } as const;
    assert.deepEqual(valueIn(decodeRpcMessage(frame('V7'))), expected);
  });

  it('V8 calls unregisterConnection on the imported capability 0', () => {
    const message = call('V8');
    assert.strictEqual(message.questionId, 1);
    assert.deepEqual(message.target, { kind: 'imported', id: 0 });
    assert.strictEqual(message.interfaceId, registrationInterface);
    assert.strictEqual(message.methodId, 1);
    assert.deepEqual(message.params.capTable, []);
  });

  it('V9 answers with an empty struct', () => {
    const { message, payload } = results('V9');
    assert.strictEqual(message.answerId, 1);
    assert.strictEqual(payload.content.struct().uint32(0), 0);
    assert.deepEqual(payload.capTable, []);
  });

  it('V10 releases one reference of import 0', () => {
    assert.deepEqual(valueIn(decodeRpcMessage(frame('V10'))), { type: 'release', id: 0, referenceCount: 1 });
  });

  it('V11 aborts with "rpc: shutdown"', () => {
    assert.deepEqual(valueIn(decodeRpcMessage(frame('V11'))), {
      type: 'abort',
      exception: { reason: 'rpc: shutdown', kind: 'failed' },
    });
  });
});
