/** One thing that would be done at Cloudflare; for people and machines to read, not to be carried out. */
export interface Change {
  readonly action: 'create' | 'change' | 'delete';
  readonly kind: 'tunnel' | 'CNAME' | 'TXT';
  /** Of the tunnel or the record. */
  readonly name: string;
  /** What it would hold or lead to, or which one it is. */
  readonly detail: string;
}
