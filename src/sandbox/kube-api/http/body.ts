import type { IncomingMessage } from 'node:http';
import { load } from 'js-yaml';
import { isObject, type Json, type JsonObject } from '../json.ts';
import { DecodeError } from '../schema/decode.ts';
import { readProtobuf } from '../schema/protobuf.ts';
import { refuse } from '../status.ts';

/** As the real server limits request bodies. */
const maxBodyBytes = 3 * 1024 * 1024;

/** Reads the whole body, refusing more than the limit. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw refuse.tooLarge(maxBodyBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export function mediaTypeOf(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

const protobuf = 'application/vnd.kubernetes.protobuf';

/** A body in the encoding that the client says; `model` is what it should be an object of. */
export function parseBody(body: Buffer, mediaType: string, model: string): Json {
  if (mediaType === '' || mediaType === 'application/json' || mediaType === '*/*') return parseJson(body);
  if (mediaType === 'application/yaml' || mediaType === 'application/apply-patch+yaml')
    return parseYaml(body);
  if (mediaType === protobuf) {
    try {
      return readProtobuf(body, model);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      throw refuse.badRequest(error.message);
    }
  }
  throw refuse.unsupportedMediaType(['application/json', 'application/yaml', protobuf]);
}

export function parseJson(body: Buffer): Json {
  try {
    return JSON.parse(body.toString('utf8')) as Json;
  } catch (error) {
    throw refuse.badRequest(`couldn't get version/kind; json parse error: ${(error as Error).message}`);
  }
}

export function requireObject(value: Json): JsonObject {
  if (isObject(value)) return value;
  throw refuse.badRequest('the body of the request was not an object');
}

/** JSON is YAML, and most clients send it: the YAML parser is only asked when it is not. */
function parseYaml(body: Buffer): Json {
  const text = body.toString('utf8');
  try {
    return (text.trimStart().startsWith('{') ? JSON.parse(text) : load(text)) as Json;
  } catch (error) {
    throw refuse.badRequest(`error decoding YAML: ${(error as Error).message}`);
  }
}
