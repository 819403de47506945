import { notGiven, option } from './option-table.ts';
import { filePath, matching, oneOf, type ValueKind } from './value-kinds.ts';

/** Settings of the controller that concern tunnel pods only. */

export interface PodConfig {
  /** Null: the controller's own image. */
  readonly image: string | null;
  readonly credentials: 'token' | 'cert';
  /** Where pods have the account's certificate from, with `cert`. */
  readonly cert: CertObject;
  /** Path of a file with a part of a pod template; null is none. */
  readonly template: string | null;
}

export interface CertObject {
  readonly in: 'secret' | 'configMap';
  readonly name: string;
}

const objectName = /^(secret|configmap)\/([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)$/;

const certObject: ValueKind<CertObject> = {
  placeholder: 'KIND/NAME',
  expected: 'secret/NAME or configmap/NAME',
  read: (text) => {
    const [, kind, name] = objectName.exec(text) ?? [];
    return name === undefined ? undefined : { in: kind === 'secret' ? 'secret' : 'configMap', name };
  },
};

export const podOptions = {
  podImage: option(
    'pod-image',
    'WARP_POD_IMAGE',
    matching('IMAGE', /^[\w./:@-]{1,512}$/, 'the name of an image'),
    { value: null, text: "the controller's own" },
    'image of tunnel pods',
  ),
  podCredentials: option(
    'pod-credentials',
    'WARP_POD_CREDENTIALS',
    oneOf('token', 'cert'),
    { value: 'token', text: "token, the tunnel's own from its ledger Secret" },
    'what tunnel pods connect with',
  ),
  podCert: option(
    'pod-cert',
    'WARP_POD_CERT',
    certObject,
    { value: { in: 'secret', name: 'cloudflare-warp-cert' }, text: 'secret/cloudflare-warp-cert' },
    'with --pod-credentials cert: what has the cert.pem that tunnel pods mount',
  ),
  podTemplate: option(
    'pod-template',
    'WARP_POD_TEMPLATE',
    filePath,
    notGiven,
    'JSON file with a part of a pod template that is merged over that of tunnel pods',
  ),
};

export function podConfig(value: {
  readonly podImage: string | null;
  readonly podCredentials: PodConfig['credentials'];
  readonly podCert: CertObject;
  readonly podTemplate: string | null;
}): PodConfig {
  return {
    image: value.podImage,
    credentials: value.podCredentials,
    cert: value.podCert,
    template: value.podTemplate,
  };
}
