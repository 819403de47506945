import { Message as CapnpMessage, ObjectSize, type Pointer, Struct, utils } from 'capnp-es';
import { Message as RpcMessage } from 'capnp-es/capnp/rpc';
import { assert } from 'chai';
import fc from 'fast-check';
import { frameSegment } from '../../../src/tunnel/wire/capnp-framing.ts';
import {
  decodeRegisterConnection,
  encodeRegisterConnection,
  encodeRegistrationResult,
  registrationInterface,
} from '../../../src/tunnel/wire/registration.ts';
import { decodeRpcMessage, type RpcCall } from '../../../src/tunnel/wire/rpc-messages.ts';
import { uuidBytes } from '../../../src/tunnel/wire/uuid.ts';
import { arbitraryRegistration, arbitraryResult } from '../../support/arbitrary-registration.ts';
import { valueIn } from '../../support/decoded-value.ts';
import { goldenMessages } from '../../support/golden-messages.ts';

/** A struct of any of the schema's layouts for capnp-es; its accessors are the library's `utils`. */
class AnyStruct extends Struct {
  static override readonly _capnp = { displayName: 'AnyStruct', id: '0', size: new ObjectSize(24, 4) };
}

const structAt = (index: number, parent: Struct): Struct => utils.getStruct(index, AnyStruct, parent);
const dataAt = (index: number, parent: Struct): Buffer =>
  Buffer.from(utils.getData(index, parent).toUint8Array());

function asStruct(pointer: Pointer): Struct {
  return new AnyStruct(pointer.segment, pointer.byteOffset);
}

describe('wire: capnp-es as the oracle', () => {
  it('reads what we write: registerConnection', () => {
    fc.assert(
      fc.property(arbitraryRegistration, (registration) => {
        const frame = encodeRegisterConnection(
          { questionId: 1, target: { kind: 'promised', questionId: 0 } },
          registration,
        );
        const call = new CapnpMessage(frame, false).getRoot(RpcMessage).call;
        assert.strictEqual(call.interfaceId, registrationInterface);
        assert.strictEqual(call.target.promisedAnswer.questionId, 0);
        const params = asStruct(call.params.content);
        const auth = structAt(0, params);
        assert.strictEqual(utils.getText(0, auth), registration.accountTag);
        assert.deepEqual(dataAt(1, auth), Buffer.from(registration.tunnelSecret));
        assert.deepEqual(dataAt(1, params), uuidBytes(registration.tunnelId));
        assert.strictEqual(utils.getUint8(0, params), registration.connIndex);
        const options = structAt(2, params);
        assert.strictEqual(utils.getUint8(2, options), registration.numPreviousAttempts);
        assert.strictEqual(utils.getBit(0, options), registration.replaceExisting);
        assert.strictEqual(utils.getText(2, structAt(0, options)), registration.client.version);
      }),
    );
  });

  it('reads what we write: registration results', () => {
    fc.assert(
      fc.property(arbitraryResult, (result) => {
        const frame = encodeRegistrationResult(1, result);
        const answer = new CapnpMessage(frame, false).getRoot(RpcMessage).return;
        assert.strictEqual(answer.releaseParamCaps, true);
        const response = structAt(0, asStruct(answer.results.content));
        assert.strictEqual(utils.getUint16(0, response), result.kind === 'registered' ? 1 : 0);
        const body = structAt(0, response);
        if (result.kind === 'registered') {
          assert.deepEqual(dataAt(0, body), uuidBytes(result.connectionId));
          assert.strictEqual(utils.getText(1, body), result.locationName);
          assert.strictEqual(utils.getBit(0, body), result.remotelyManaged);
        } else {
          assert.strictEqual(utils.getText(0, body), result.cause);
          assert.strictEqual(utils.getInt64(0, body), result.retryAfterNanoseconds);
          assert.strictEqual(utils.getBit(64, body), result.shouldRetry);
        }
      }),
    );
  });

  it('writes what we read, also in several segments with far pointers', () => {
    const golden = new CapnpMessage(goldenMessages().get('V3') as Buffer, false).getRoot(RpcMessage);
    // A first segment with room for the root pointer only: all else goes to others, behind far pointers.
    const copy = new CapnpMessage(frameSegment(Buffer.alloc(8)), false);
    copy.initRoot(RpcMessage).call = golden.call;
    const frame = Buffer.from(copy.toArrayBuffer());
    assert.isAbove(frame.readUInt32LE(0), 0, 'more than one segment');
    const call = valueIn(decodeRpcMessage(frame)) as RpcCall;
    const registration = valueIn(decodeRegisterConnection(call.params));
    assert.strictEqual(registration.accountTag, '0123456789abcdef0123456789abcdef');
    assert.strictEqual(registration.client.features.length, 5);
    assert.strictEqual(registration.client.clientId, 'b7f6b2d3-27a2-4dd3-a69b-5c97600d79d1');
  });
});
