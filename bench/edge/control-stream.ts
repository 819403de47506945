import { Reframer } from '../../src/tunnel/wire/capnp-framing.ts';
import type { Decoded } from '../../src/tunnel/wire/malformed.ts';
import {
  decodeRegisterConnection,
  encodeBootstrapResults,
  encodeEmptyResults,
  encodeRegistrationResult,
  registrationMethods,
} from '../../src/tunnel/wire/registration.ts';
import { decodeRpcMessage, type RpcCall } from '../../src/tunnel/wire/rpc-messages.ts';
import type { Http2Connection } from '../http2-connection.ts';

export interface ControlEvents {
  registered(tunnelId: string): void;
  unregistered(): void;
}

const headers = [
  ':method',
  'GET',
  ':scheme',
  'http',
  ':authority',
  'edge.invalid',
  ':path',
  '/',
  'cf-cloudflared-proxy-connection-upgrade',
  'control-stream',
];

/** Opens the control stream and accepts every registration (protocol page, section 6). */
export function openControlStream(connection: Http2Connection, events: ControlEvents): void {
  const reframer = new Reframer();
  const id = connection.open(headers, false, {
    headers: () => {},
    data: (piece) => {
      for (const frame of known(reframer.push(piece))) {
        const message = known(decodeRpcMessage(frame));
        if (message.type === 'bootstrap') connection.write(id, encodeBootstrapResults(message.questionId, 0));
        if (message.type === 'call') connection.write(id, answer(message, events));
      }
    },
    ended: () => {},
    failed: () => {},
  });
}

function answer({ questionId, methodId, params }: RpcCall, events: ControlEvents): Buffer {
  switch (methodId) {
    case registrationMethods.registerConnection:
      events.registered(known(decodeRegisterConnection(params)).tunnelId);
      return encodeRegistrationResult(questionId, {
        kind: 'registered',
        connectionId: '00112233-4455-6677-8899-aabbccddeeff',
        locationName: 'bench',
        remotelyManaged: false,
      });
    case registrationMethods.unregisterConnection:
      events.unregistered();
      return encodeEmptyResults(questionId);
    default:
      return encodeEmptyResults(questionId);
  }
}

function known<T>(result: Decoded<T>): T {
  if (!result.ok) throw new Error('a connector sent what cannot be decoded');
  return result.value;
}
