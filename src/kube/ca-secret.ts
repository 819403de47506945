import { z } from 'zod';
import { certificatesIn } from '../domain/certificates.ts';
import { failed, ok, type Result } from '../fault.ts';
import type { KubeClient } from './client.ts';

/** Where cert-manager and Kubernetes' own service accounts have it, too. */
const caKey = 'ca.crt';
/** A bundle of all public roots has a quarter of this. */
const maxPemBytes = 512 * 1024;
const maxCertificates = 500;

const shape = z.object({ data: z.record(z.string(), z.unknown()).nullish() });
const base64 = /^[A-Za-z0-9+/]*={0,2}$/;

/**
 * The object of a Secret that an Ingress names (RBAC: `secrets`, `get`), for `caOf` and for its version. Faults:
 * `ingress-invalid` when there is none, else those of the client.
 */
export async function readCaSecret(
  client: KubeClient,
  name: string,
  signal: AbortSignal,
): Promise<Result<unknown>> {
  const found = await client.call({ method: 'GET', resource: 'secrets', name }, signal);
  if (found.ok || found.fault.code !== 'kube-not-found') return found;
  return failed(
    'ingress-invalid',
    `Secret "${name}" does not exist in namespace "${client.namespace}"; expected one with PEM certificates under "${caKey}"`,
  );
}

/**
 * The certificates of a Secret object, each checked, as one PEM text without anything else that was there: nothing but
 * them leaves this file, neither as a value nor in a message. Fault: `ingress-invalid`.
 */
export function caOf(name: string, object: unknown): Result<string> {
  const refuse = (seen: string): Result<never> =>
    failed('ingress-invalid', `Secret "${name}" ${seen}; expected PEM certificates under "${caKey}"`);
  const parsed = shape.safeParse(object);
  const encoded = parsed.success ? parsed.data.data?.[caKey] : undefined;
  if (encoded === undefined) return refuse(`has no "${caKey}"`);
  if (typeof encoded !== 'string' || !base64.test(encoded))
    return refuse(`has a "${caKey}" that is not base64`);
  if (encoded.length > (maxPemBytes * 4) / 3)
    return refuse(`has a "${caKey}" of more than ${maxPemBytes} bytes`);
  const { count, pem, broken } = certificatesIn(Buffer.from(encoded, 'base64').toString('latin1'));
  if (count === 0) return refuse(`has a "${caKey}" without a certificate`);
  if (count > maxCertificates) return refuse(`has more than ${maxCertificates} certificates`);
  if (broken !== null) return refuse(`has a "${caKey}" whose certificate ${broken} cannot be read`);
  return ok(pem);
}
