import type { JsonObject } from './json.ts';

/** One entry of `details.causes`: what is wrong with which field. */
export interface Cause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

/** How the object of an error is named: the plural for most errors, the kind for `Invalid`. */
export interface Subject {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
}

/**
 * A refusal, on its way to the client as a `Status` body. Thrown by whatever handles a request and caught in
 * one place, `server.ts`; everything else that is thrown is a bug and becomes a 500.
 */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly code: number;
  readonly body: JsonObject;

  constructor(
    code: number,
    reason: string,
    message: string,
    details?: JsonObject,
    metadata: JsonObject = {},
  ) {
    super(message);
    this.code = code;
    this.body = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata,
      status: 'Failure',
      message,
      ...(reason === '' ? {} : { reason }),
      ...(details === undefined ? {} : { details }),
      code,
    };
  }
}

function qualified({ group, plural }: Subject): string {
  return group === '' ? plural : `${plural}.${group}`;
}

function details(subject: Subject, name: string): JsonObject {
  return { ...(name && { name }), ...(subject.group && { group: subject.group }), kind: subject.plural };
}

export const refuse = {
  notFound: (subject: Subject, name: string) =>
    new StatusError(404, 'NotFound', `${qualified(subject)} "${name}" not found`, details(subject, name)),

  alreadyExists: (subject: Subject, name: string) =>
    new StatusError(
      409,
      'AlreadyExists',
      `${qualified(subject)} "${name}" already exists`,
      details(subject, name),
    ),

  conflict: (subject: Subject, name: string, why: string) =>
    new StatusError(
      409,
      'Conflict',
      `Operation cannot be fulfilled on ${qualified(subject)} "${name}": ${why}`,
      details(subject, name),
    ),

  forbidden: (subject: Subject, name: string, why: string, causes: readonly Cause[] = []) =>
    new StatusError(403, 'Forbidden', `${qualified(subject)}${name && ` "${name}"`} is forbidden: ${why}`, {
      ...details(subject, name),
      ...(causes.length > 0 && { causes: causes.map((cause) => ({ ...cause })) }),
    }),

  invalid: (subject: Pick<Subject, 'group' | 'kind'>, name: string, causes: readonly Cause[]) => {
    const errors = [...new Set(causes.map((cause) => `${cause.field}: ${cause.message}`))];
    const what = subject.group === '' ? subject.kind : `${subject.kind}.${subject.group}`;
    const said = errors.length === 1 ? errors[0] : `[${errors.join(', ')}]`;
    return new StatusError(422, 'Invalid', `${what} "${name}" is invalid: ${said}`, {
      ...(name && { name }),
      ...(subject.group && { group: subject.group }),
      kind: subject.kind,
      causes: causes.map((cause) => ({ ...cause })),
    });
  },

  badRequest: (message: string) => new StatusError(400, 'BadRequest', message),
  unauthorized: () => new StatusError(401, 'Unauthorized', 'Unauthorized'),
  methodNotAllowed: () =>
    new StatusError(
      405,
      'MethodNotAllowed',
      'the server does not allow this method on the requested resource',
      {},
    ),
  notAcceptable: () =>
    new StatusError(
      406,
      'NotAcceptable',
      '406: Not Acceptable\n\nAvailable representations: application/json, application/yaml',
      {},
    ),
  unsupportedMediaType: (accepted: readonly string[]) =>
    new StatusError(
      415,
      'UnsupportedMediaType',
      `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
    ),
  tooLarge: (maxBytes: number) =>
    new StatusError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${maxBytes}`),
  expired: (message: string, metadata?: JsonObject) =>
    new StatusError(410, 'Expired', message, undefined, metadata),
  tooLargeResourceVersion: (wanted: number, current: number) =>
    new StatusError(504, 'Timeout', `Timeout: Too large resource version: ${wanted}, current: ${current}`, {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    }),
  internal: (message: string) =>
    new StatusError(500, 'InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] }),
} as const;

/** Causes with the words of the real server's `field` package. */
export const wrong = {
  required: (field: string, detail = ''): Cause => ({
    reason: 'FieldValueRequired',
    message: detail ? `Required value: ${detail}` : 'Required value',
    field,
  }),
  invalid: (field: string, value: unknown, detail: string): Cause => ({
    reason: 'FieldValueInvalid',
    message: `Invalid value: ${JSON.stringify(value ?? null)}: ${detail}`,
    field,
  }),
  unsupported: (field: string, value: unknown, supported: readonly string[]): Cause => ({
    reason: 'FieldValueNotSupported',
    message: `Unsupported value: ${JSON.stringify(value ?? null)}: supported values: ${[...supported]
      .sort()
      .map((each) => `"${each}"`)
      .join(', ')}`,
    field,
  }),
  forbidden: (field: string, detail: string): Cause => ({
    reason: 'FieldValueForbidden',
    message: `Forbidden: ${detail}`,
    field,
  }),
  duplicate: (field: string, value: unknown): Cause => ({
    reason: 'FieldValueDuplicate',
    message: `Duplicate value: ${JSON.stringify(value ?? null)}`,
    field,
  }),
  tooLong: (field: string, maxLength: number): Cause => ({
    reason: 'FieldValueTooLong',
    message: `Too long: may not be more than ${maxLength} bytes`,
    field,
  }),
  tooMany: (field: string, actual: number, max: number): Cause => ({
    reason: 'FieldValueTooMany',
    message: `Too many: ${actual}: must have at most ${max} items`,
    field,
  }),
} as const;
