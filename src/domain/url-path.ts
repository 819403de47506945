/*
 * Paths as they are compared: in the characters of RFC 3986, everything else as escapes with upper-case digits. An
 * Ingress may write what no URL can hold (Kubernetes API, HTTPIngressPath.path), and a browser sends that as its
 * UTF-8, escaped.
 */

const illegal = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]/gu;
const brokenEscape = /%(?![0-9A-Fa-f]{2})/g;
const anyEscape = /%[0-9a-f]{2}/gi;

/** Of a path as somebody has written it, in any characters. */
export function pathOfText(text: string): string {
  return withUpperEscapes(
    text.toWellFormed().replace(brokenEscape, '%25').replace(illegal, encodeURIComponent),
  );
}

/** Of a request's path, each character a byte (latin1). */
export function pathOfBytes(path: string): string {
  return withUpperEscapes(path.replace(illegal, escapeOfByte));
}

function escapeOfByte(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

function withUpperEscapes(path: string): string {
  return path.replace(anyEscape, (each) => each.toUpperCase());
}
