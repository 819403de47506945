import { X509Certificate } from 'node:crypto';

const block = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** The certificates in a text, and nothing else that is there. */
export interface PemCertificates {
  readonly count: number;
  readonly pem: string;
  /** The first that cannot be read, counted from 1; null where all can. */
  readonly broken: number | null;
}

export function certificatesIn(text: string): PemCertificates {
  const blocks = text.match(block) ?? [];
  const broken = blocks.findIndex((each) => !isCertificate(each));
  return { count: blocks.length, pem: `${blocks.join('\n')}\n`, broken: broken < 0 ? null : broken + 1 };
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}
