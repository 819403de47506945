import type { StructReader } from './capnp-reader.ts';
import { type Decoded, decoded, MalformedError } from './malformed.ts';
import { type CallTarget, encodeCall, encodeResults, type Payload } from './rpc-messages.ts';
import { uuidBytes, uuidOf } from './uuid.ts';

/**
 * The edge's interface RegistrationServer (tunnelrpc.capnp, protocol page section 6.3), both directions. The
 * connector calls, the edge answers.
 */

export const registrationInterface = 0xf71695ec7fe85497n;

export const registrationMethods = {
  registerConnection: 0,
  unregisterConnection: 1,
  updateLocalConfiguration: 2,
} as const;

/** Parameters of registerConnection. Holds a secret: never logged. */
export interface Registration {
  readonly accountTag: string;
  /** Raw bytes. A secret. */
  readonly tunnelSecret: Uint8Array;
  /** UUID. */
  readonly tunnelId: string;
  readonly connIndex: number;
  readonly client: ClientInfo;
  /** 16 bytes, IPv4 mapped into IPv6; empty when unknown. */
  readonly originLocalIp: Uint8Array;
  readonly replaceExisting: boolean;
  readonly compressionQuality: number;
  readonly numPreviousAttempts: number;
}

export interface ClientInfo {
  /** The connector id, a UUID. */
  readonly clientId: string;
  readonly features: readonly string[];
  readonly version: string;
  /** `linux_amd64`. */
  readonly arch: string;
}

export type RegistrationResult =
  | {
      readonly kind: 'registered';
      /** UUID of this connection. */
      readonly connectionId: string;
      readonly locationName: string;
      readonly remotelyManaged: boolean;
    }
  | {
      readonly kind: 'refused';
      readonly cause: string;
      readonly retryAfterNanoseconds: bigint;
      readonly shouldRetry: boolean;
    };

interface Question {
  readonly questionId: number;
  readonly target: CallTarget;
}

export function encodeRegisterConnection(question: Question, registration: Registration): Buffer {
  return encodeCall({
    ...question,
    interfaceId: registrationInterface,
    methodId: registrationMethods.registerConnection,
    params: (content) => {
      const params = content.struct(1, 3);
      params.uint8(0, registration.connIndex);
      const auth = params.pointer(0).struct(0, 2);
      auth.pointer(0).text(registration.accountTag);
      auth.pointer(1).data(registration.tunnelSecret);
      params.pointer(1).data(uuidBytes(registration.tunnelId));
      const options = params.pointer(2).struct(1, 2);
      options.bool(0, registration.replaceExisting);
      options.uint8(1, registration.compressionQuality);
      options.uint8(2, registration.numPreviousAttempts);
      options.pointer(1).data(registration.originLocalIp);
      const client = options.pointer(0).struct(0, 4);
      client.pointer(0).data(uuidBytes(registration.client.clientId));
      client.pointer(1).textList(registration.client.features);
      client.pointer(2).text(registration.client.version);
      client.pointer(3).text(registration.client.arch);
    },
  });
}

export function encodeUnregisterConnection(question: Question): Buffer {
  return encodeCall({
    ...question,
    interfaceId: registrationInterface,
    methodId: registrationMethods.unregisterConnection,
    params: (content) => void content.struct(0, 0),
  });
}

/** `config` is the JSON of protocol page section 7.3. */
export function encodeUpdateLocalConfiguration(question: Question, config: Uint8Array): Buffer {
  return encodeCall({
    ...question,
    interfaceId: registrationInterface,
    methodId: registrationMethods.updateLocalConfiguration,
    params: (content) => content.struct(0, 1).pointer(0).data(config),
  });
}

export function decodeRegisterConnection(params: Payload): Decoded<Registration> {
  return decoded(() => {
    const struct = params.content.struct();
    const auth = struct.pointer(0).struct();
    const options = struct.pointer(2).struct();
    return {
      accountTag: auth.pointer(0).text(),
      tunnelSecret: Buffer.from(auth.pointer(1).data()),
      tunnelId: uuidOf(struct.pointer(1).data()),
      connIndex: struct.uint8(0),
      client: readClient(options.pointer(0).struct()),
      originLocalIp: Buffer.from(options.pointer(1).data()),
      replaceExisting: options.bool(0),
      compressionQuality: options.uint8(1),
      numPreviousAttempts: options.uint8(2),
    };
  });
}

function readClient(client: StructReader): ClientInfo {
  return {
    clientId: uuidOf(client.pointer(0).data()),
    features: client.pointer(1).textList(),
    version: client.pointer(2).text(),
    arch: client.pointer(3).text(),
  };
}

export function decodeUpdateLocalConfiguration(params: Payload): Decoded<Buffer> {
  return decoded(() => Buffer.from(params.content.struct().pointer(0).data()));
}

export function encodeRegistrationResult(answerId: number, result: RegistrationResult): Buffer {
  return encodeResults(answerId, (content) => {
    const response = content.struct(0, 1).pointer(0).struct(1, 1);
    if (result.kind === 'registered') {
      response.uint16(0, 1);
      const details = response.pointer(0).struct(1, 2);
      details.bool(0, result.remotelyManaged);
      details.pointer(0).data(uuidBytes(result.connectionId));
      details.pointer(1).text(result.locationName);
    } else {
      const error = response.pointer(0).struct(2, 1);
      error.int64(0, result.retryAfterNanoseconds);
      error.bool(64, result.shouldRetry);
      error.pointer(0).text(result.cause);
    }
  });
}

export function decodeRegistrationResult(payload: Payload): Decoded<RegistrationResult> {
  return decoded(() => {
    const response = payload.content.struct().pointer(0).struct();
    const body = response.pointer(0).struct();
    const tag = response.uint16(0);
    switch (tag) {
      case 0:
        return {
          kind: 'refused',
          cause: body.pointer(0).text(),
          retryAfterNanoseconds: body.int64(0),
          shouldRetry: body.bool(64),
        };
      case 1:
        return {
          kind: 'registered',
          connectionId: uuidOf(body.pointer(0).data()),
          locationName: body.pointer(1).text(),
          remotelyManaged: body.bool(0),
        };
      default:
        throw new MalformedError(`a registration result is of the unknown kind ${tag}`);
    }
  });
}

/** The answer of methods without results. */
export function encodeEmptyResults(answerId: number): Buffer {
  return encodeResults(answerId, (content) => void content.struct(0, 0));
}

/** The answer to Bootstrap: a capability that the edge hosts under `exportId`. */
export function encodeBootstrapResults(answerId: number, exportId: number): Buffer {
  return encodeResults(answerId, (content) => content.capability(0), [exportId]);
}

/** The import id of the capability in an answer to Bootstrap. */
export function decodeBootstrapResults(payload: Payload): Decoded<number> {
  return decoded(() => {
    const index = payload.content.capability();
    const entry = index === null ? undefined : payload.capTable[index];
    if (entry === undefined) throw new MalformedError('the answer to Bootstrap holds no capability');
    if (entry.kind !== 'senderHosted') {
      throw new MalformedError(`the bootstrap capability is ${entry.kind}, expected senderHosted`);
    }
    return entry.id;
  });
}
