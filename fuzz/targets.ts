import type { FuzzTarget } from './target.ts';
import { accessKeys } from './targets/access-keys.ts';
import { certPem } from './targets/cert-pem.ts';
import { clientFrames } from './targets/client-frames.ts';
import { dnsMessage } from './targets/dns-message.ts';
import { edgeAddress } from './targets/edge-address.ts';
import { hpack } from './targets/hpack.ts';
import { http1Response } from './targets/http1-response.ts';
import { http2Frames } from './targets/http2-frames.ts';
import { http2ResponseHead } from './targets/http2-response-head.ts';
import { ingress } from './targets/ingress.ts';
import { registrationRpc } from './targets/registration-rpc.ts';
import { requestHead } from './targets/request-head.ts';
import { responseHeaders } from './targets/response-headers.ts';
import { tunnelToken } from './targets/tunnel-token.ts';
import { watchLines } from './targets/watch-lines.ts';

/** One for each decoder of bytes or texts that come from outside. */
export const targets: readonly FuzzTarget[] = [
  http2Frames,
  hpack,
  requestHead,
  http1Response,
  http2ResponseHead,
  responseHeaders,
  clientFrames,
  registrationRpc,
  tunnelToken,
  certPem,
  accessKeys,
  dnsMessage,
  edgeAddress,
  ingress,
  watchLines,
];
