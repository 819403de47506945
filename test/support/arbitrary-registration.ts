import fc from 'fast-check';
import type { Registration, RegistrationResult } from '../../src/tunnel/wire/registration.ts';

const uuid = fc.uuid();
/** Cap'n Proto texts are UTF-8, so no lone surrogates. */
const text = fc.string({ unit: 'grapheme', maxLength: 40 });
const bytes = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((array): Uint8Array => Buffer.from(array));

export const arbitraryRegistration: fc.Arbitrary<Registration> = fc.record({
  accountTag: text,
  tunnelSecret: bytes(64),
  tunnelId: uuid,
  connIndex: fc.integer({ min: 0, max: 255 }),
  client: fc.record({
    clientId: uuid,
    features: fc.array(text, { maxLength: 9 }),
    version: text,
    arch: text,
  }),
  originLocalIp: bytes(16),
  replaceExisting: fc.boolean(),
  compressionQuality: fc.integer({ min: 0, max: 255 }),
  numPreviousAttempts: fc.integer({ min: 0, max: 255 }),
});

export const arbitraryResult: fc.Arbitrary<RegistrationResult> = fc.oneof(
  fc.record({
    kind: fc.constant('registered' as const),
    connectionId: uuid,
    locationName: text,
    remotelyManaged: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('refused' as const),
    cause: text,
    retryAfterNanoseconds: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    shouldRetry: fc.boolean(),
  }),
);
