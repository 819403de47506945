/**
 * One header field as decoded. Fields of the tables are shared objects, so what the reader of a request finds
 * out about a name or a value is noted on the field and found again on the next request.
 */
export class HeaderField {
  readonly name: string;
  readonly value: string;
  /** The reader's classification; 0 is "not looked at yet". The name's note goes on to fields with that name. */
  nameKind: number;
  valueKind: number;

  constructor(name: string, value: string, nameKind: number) {
    this.name = name;
    this.value = value;
    this.nameKind = nameKind;
    this.valueKind = 0;
  }

  /** Size in the dynamic table and in a header list (RFC 7541, section 4.1). */
  get size(): number {
    return this.name.length + this.value.length + fieldOverheadBytes;
  }
}

export const fieldOverheadBytes = 32;

/** RFC 7541, appendix A: `name` or `name: value`, from index 1 on. */
const rows = `
:authority
:method: GET
:method: POST
:path: /
:path: /index.html
:scheme: http
:scheme: https
:status: 200
:status: 204
:status: 206
:status: 304
:status: 400
:status: 404
:status: 500
accept-charset
accept-encoding: gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate
`;

/** Index 0 is not used (RFC 7541, section 6.1). */
export const staticTable: readonly HeaderField[] = [
  new HeaderField('', '', 0),
  ...rows
    .trim()
    .split('\n')
    .map((row) => {
      const colon = row.indexOf(': ', 1);
      return colon < 0
        ? new HeaderField(row, '', 0)
        : new HeaderField(row.slice(0, colon), row.slice(colon + 2), 0);
    }),
];

/** The first index of each name. */
export const staticNames: ReadonlyMap<string, number> = new Map(
  staticTable
    .map((field, index): [string, number] => [field.name, index])
    .slice(1)
    .reverse(),
);
