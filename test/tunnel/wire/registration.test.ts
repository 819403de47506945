import { assert } from 'chai';
import fc from 'fast-check';
import {
  decodeBootstrapResults,
  decodeRegisterConnection,
  decodeRegistrationResult,
  decodeUpdateLocalConfiguration,
  encodeBootstrapResults,
  encodeRegisterConnection,
  encodeRegistrationResult,
  encodeUpdateLocalConfiguration,
} from '../../../src/tunnel/wire/registration.ts';
import {
  type CallTarget,
  decodeRpcMessage,
  encodeAbort,
  encodeBootstrap,
  encodeFinish,
  encodeRelease,
  encodeReturnedException,
  encodeUnimplemented,
  type RpcCall,
  type RpcReturn,
} from '../../../src/tunnel/wire/rpc-messages.ts';
import { arbitraryRegistration, arbitraryResult } from '../../support/arbitrary-registration.ts';
import { valueIn } from '../../support/decoded-value.ts';
import { goldenMessages } from '../../support/golden-messages.ts';

const arbitraryId = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const arbitraryTarget: fc.Arbitrary<CallTarget> = fc.oneof(
  fc.record({ kind: fc.constant('imported' as const), id: arbitraryId }),
  fc.record({ kind: fc.constant('promised' as const), questionId: arbitraryId }),
);

describe('wire: registration', () => {
  it('reads back every registration that was written', () => {
    fc.assert(
      fc.property(arbitraryId, arbitraryTarget, arbitraryRegistration, (questionId, target, registration) => {
        const frame = encodeRegisterConnection({ questionId, target }, registration);
        const call = valueIn(decodeRpcMessage(frame)) as RpcCall;
        assert.deepEqual([call.type, call.questionId, call.target], ['call', questionId, target]);
        assert.deepEqual(valueIn(decodeRegisterConnection(call.params)), registration);
      }),
    );
  });

  it('reads back every answer that was written', () => {
    fc.assert(
      fc.property(arbitraryId, arbitraryResult, (answerId, result) => {
        const answer = valueIn(decodeRpcMessage(encodeRegistrationResult(answerId, result))) as RpcReturn;
        assert.strictEqual(answer.answerId, answerId);
        if (answer.result.kind !== 'results') throw new Error('no results');
        assert.deepEqual(valueIn(decodeRegistrationResult(answer.result.payload)), result);
      }),
    );
  });

  it('reads back a local configuration', () => {
    const config = Buffer.from('{"ingress":[{"service":"http_status:404"}]}');
    const frame = encodeUpdateLocalConfiguration(
      { questionId: 1, target: { kind: 'imported', id: 7 } },
      config,
    );
    const call = valueIn(decodeRpcMessage(frame)) as RpcCall;
    assert.strictEqual(call.methodId, 2);
    assert.deepEqual(valueIn(decodeUpdateLocalConfiguration(call.params)), config);
  });

  it('reads back the bootstrap capability', () => {
    const answer = valueIn(decodeRpcMessage(encodeBootstrapResults(3, 9))) as RpcReturn;
    if (answer.result.kind !== 'results') throw new Error('no results');
    assert.strictEqual(valueIn(decodeBootstrapResults(answer.result.payload)), 9);
  });

  it('reads back the messages without payload', () => {
    const exception = { reason: 'no such method', kind: 'unimplemented' } as const;
    const cases: [Buffer, unknown][] = [
      [encodeBootstrap(5), { type: 'bootstrap', questionId: 5 }],
      [encodeFinish(5, true), { type: 'finish', questionId: 5, releaseResultCaps: true }],
      [encodeRelease(2, 3), { type: 'release', id: 2, referenceCount: 3 }],
      [encodeAbort(exception), { type: 'abort', exception }],
      [
        encodeReturnedException(4, exception),
        {
          type: 'return',
          answerId: 4,
          releaseParamCaps: true,
          result: { kind: 'exception', exception },
        },
      ],
    ];
    for (const [frame, message] of cases) assert.deepEqual(valueIn(decodeRpcMessage(frame)), message);
  });

  it('says which question an Unimplemented is about', () => {
    const echo = encodeUnimplemented(goldenMessages().get('V3') as Buffer);
    assert.deepEqual(valueIn(decodeRpcMessage(echo)), { type: 'unimplemented', questionId: 1 });
  });
});
