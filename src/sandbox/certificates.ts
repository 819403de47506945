import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIPv4, SocketAddress } from 'node:net';
import {
  bitString,
  type Der,
  der,
  explicit,
  implicit,
  integer,
  oid,
  sequence,
  tag,
  time,
  utf8,
} from './der.ts';

/** What a TLS server needs, both PEM. */
export interface IssuedCertificate {
  /** The leaf, followed by its authority. */
  readonly cert: string;
  /** PKCS #8, a secret. */
  readonly key: string;
}

export interface CertificateNames {
  readonly dnsNames?: readonly string[];
  /** IPv4 or IPv6 literals. */
  readonly ipAddresses?: readonly string[];
}

/** A certificate authority of the sandbox: lives in memory, ends with the process. */
export interface Authority {
  /** Its own certificate, PEM: what a client is told to trust. */
  readonly cert: string;
  /** A server certificate for these names, with a fresh P-256 key. */
  issue(names: CertificateNames): IssuedCertificate;
}

const dayMs = 86_400_000;
/** Clocks of other programs may be behind ours. */
const backdatedMs = dayMs;
const authorityLifeMs = 3650 * dayMs;
/** Under the 825 days that some TLS clients allow a leaf. */
const leafLifeMs = 365 * dayMs;

const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));
const extensionIds = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const;
const serverAuth = oid('1.3.6.1.5.5.7.3.1');
const truth = der(tag.boolean, Uint8Array.of(0xff));

/** Makes an authority with a fresh P-256 key. `name` is its common name; `nowMs` is the wall clock. */
export function createAuthority(name: string, nowMs = Date.now()): Authority {
  const own = keyPair();
  const ownId = keyIdentifier(own.spki);
  const cert = certificate({
    subject: name,
    issuer: name,
    spki: own.spki,
    signer: own.privateKey,
    notBeforeMs: nowMs - backdatedMs,
    notAfterMs: nowMs + authorityLifeMs,
    extensions: [
      extension('basicConstraints', sequence(truth), true),
      extension('keyUsage', bitString(Uint8Array.of(0b0000_0110), 1), true), // keyCertSign, cRLSign
      extension('subjectKeyIdentifier', der(tag.octetString, ownId)),
    ],
  });
  return {
    cert,
    issue(names) {
      const leaf = keyPair();
      const leafCert = certificate({
        subject: names.dnsNames?.[0] ?? names.ipAddresses?.[0] ?? name,
        issuer: name,
        spki: leaf.spki,
        signer: own.privateKey,
        notBeforeMs: nowMs - backdatedMs,
        notAfterMs: nowMs + leafLifeMs,
        extensions: [
          extension('basicConstraints', sequence(), true),
          extension('keyUsage', bitString(Uint8Array.of(0b1000_0000), 7), true), // digitalSignature
          extension('extendedKeyUsage', sequence(serverAuth)),
          extension('subjectKeyIdentifier', der(tag.octetString, keyIdentifier(leaf.spki))),
          extension('authorityKeyIdentifier', sequence(implicit(0, ownId))),
          extension('subjectAltName', sequence(...generalNames(names))),
        ],
      });
      return {
        cert: leafCert + cert,
        key: leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      };
    },
  };
}

interface CertificateFields {
  readonly subject: string;
  readonly issuer: string;
  readonly spki: Buffer;
  readonly signer: KeyObject;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly extensions: readonly Der[];
}

/** RFC 5280 section 4.1. */
function certificate(fields: CertificateFields): string {
  const body = sequence(
    explicit(0, integer(Uint8Array.of(2))), // v3
    integer(randomBytes(16)),
    ecdsaWithSha256,
    commonName(fields.issuer),
    sequence(time(fields.notBeforeMs), time(fields.notAfterMs)),
    commonName(fields.subject),
    fields.spki,
    explicit(3, sequence(...fields.extensions)),
  );
  const signed = sequence(body, ecdsaWithSha256, bitString(sign('sha256', body, fields.signer)));
  const lines = signed.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

function keyPair(): { readonly privateKey: KeyObject; readonly spki: Buffer } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey, spki: publicKey.export({ type: 'spki', format: 'der' }) };
}

/** Any stable digest will do; RFC 7093 section 2 allows this one. */
function keyIdentifier(spki: Buffer): Buffer {
  return createHash('sha256').update(spki).digest().subarray(0, 20);
}

function commonName(name: string): Der {
  return sequence(der(tag.set, sequence(oid('2.5.4.3'), utf8(name))));
}

function extension(name: keyof typeof extensionIds, value: Der, critical = false): Der {
  return sequence(oid(extensionIds[name]), ...(critical ? [truth] : []), der(tag.octetString, value));
}

function generalNames({ dnsNames = [], ipAddresses = [] }: CertificateNames): Der[] {
  return [
    ...dnsNames.map((name) => implicit(2, Buffer.from(name, 'latin1'))),
    ...ipAddresses.map((address) => implicit(7, addressBytes(address))),
  ];
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const canonical = new SocketAddress({ address, family: 'ipv6' }).address;
  const [head = '', tail] = canonical.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const front = groups(head);
  const back = groups(tail ?? '');
  const middle = tail === undefined ? [] : new Array<string>(8 - front.length - back.length).fill('0');
  return Buffer.from([...front, ...middle, ...back].map((group) => group.padStart(4, '0')).join(''), 'hex');
}
