import type { WriteQuery } from '../http/options.ts';
import { type JsonObject, textAt } from '../json.ts';
import { apiVersionOf, type ResourceDefinition } from '../resources/definition.ts';
import { DecodeError, decode } from '../schema/decode.ts';
import { structSchema } from '../schema/schema.ts';
import { refuse } from '../status.ts';

/**
 * Reads what a client sent as an object of this kind. Unknown fields are refused, told as warnings, or
 * dropped, as the client asked. `keepEmpty` keeps empty lists and maps, which are part of an applied intent.
 */
export function accept(
  definition: ResourceDefinition,
  value: JsonObject,
  validation: WriteQuery['fieldValidation'],
  warn: (text: string) => void,
  keepEmpty = false,
): JsonObject {
  const { kind, version } = definition;
  const apiVersion = apiVersionOf(definition);
  const said = { kind: textAt(value, 'kind') || kind, apiVersion: textAt(value, 'apiVersion') || apiVersion };
  if (said.kind !== kind) {
    const internal = definition.group === '' ? 'core' : definition.group.split('.')[0];
    throw refuse.badRequest(
      `${said.kind} in version "${version}" cannot be handled as a ${kind}: converting (v1.${said.kind}) to (${internal}.${kind}): unknown conversion`,
    );
  }
  if (said.apiVersion !== apiVersion) {
    throw refuse.badRequest(
      `the API version in the data (${said.apiVersion}) does not match the expected API version (${apiVersion})`,
    );
  }
  try {
    const { object, unknown } = decode(value, structSchema(definition.model), kind, keepEmpty);
    const complaints = unknown.map((path) => `unknown field "${path}"`);
    if (complaints.length > 0 && validation === 'Strict') {
      throw new DecodeError(`strict decoding error: ${complaints.join(', ')}`);
    }
    if (validation === 'Warn') for (const complaint of complaints) warn(complaint);
    return { ...object, apiVersion, kind };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw refuse.badRequest(
      `${kind} in version "${version}" cannot be handled as a ${kind}: ${error.message}`,
    );
  }
}
