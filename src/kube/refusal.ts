import { z } from 'zod';
import { type Fault, type FaultCode, fault } from '../fault.ts';

/** The message of a Status is the server's own sentence; longer ones are cut. */
const maxMessageLength = 300;
/** Nobody waits longer because of one header. */
const maxRetryAfterMs = 300_000;

const statusShape = z.object({ message: z.string() });

/** What a refusing answer of the API server means. `seen` names the request: `GET /api/v1/...`. */
export function refusal(
  seen: string,
  status: number,
  body: string,
  retryAfter: string | string[] | undefined,
): Fault {
  const hint = status === 401 ? ' (our credentials are not accepted)' : '';
  return fault(
    codeOf(status),
    `${seen}: ${status}${hint} ${statusMessage(body)}`.trim(),
    retryAfterMs(retryAfter),
  );
}

/** `code` of a Status object, as it comes in a watch's ERROR event. */
export function codeOf(status: number): FaultCode {
  if (status === 401 || status === 403) return 'kube-forbidden';
  if (status === 404) return 'kube-not-found';
  if (status === 409) return 'kube-conflict';
  if (status === 410) return 'kube-expired';
  return status >= 500 ? 'kube-unreachable' : 'kube-refused';
}

/** Node.js says more to whoever starts it, which is nobody who reads our log. */
const adviceOfNode = /; if the root CA is installed locally.*$/;

/** Why there was no answer, in one line. */
export function failureText(thrown: unknown): string {
  const { code, message } = thrown as NodeJS.ErrnoException;
  const text = (message || code || 'the connection failed').replace(adviceOfNode, '');
  if (!/^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/.test(code ?? '')) return text;
  return `${text}; expected one by the CA of the service account or of the kubeconfig`;
}

function statusMessage(body: string): string {
  try {
    const parsed = statusShape.safeParse(JSON.parse(body));
    return parsed.success ? parsed.data.message.slice(0, maxMessageLength) : '';
  } catch {
    return '';
  }
}

/** The API server gives whole seconds (RFC 9110, section 10.2.3); dates are not sent and not understood. */
function retryAfterMs(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string' || !/^\d{1,9}$/.test(header)) return undefined;
  return Math.min(Number(header) * 1000, maxRetryAfterMs);
}
