import type { ServiceSpec, SliceSpec } from '../domain/backend.ts';
import type { IngressKey, IngressSpec } from '../domain/ingress.ts';
import type { LedgerEntry } from '../domain/ledger.ts';

/**
 * What the watch tells the supervisor: each event is one message that says what *is*, so newer replaces older
 * per object. `*.removed` also stands for "no longer ours" (class or annotation changed).
 */
export type WorldMessage =
  | { readonly type: 'ingress.present'; readonly spec: IngressSpec }
  | { readonly type: 'ingress.removed'; readonly key: IngressKey }
  | { readonly type: 'service.present'; readonly service: ServiceSpec }
  | { readonly type: 'service.removed'; readonly name: string }
  | { readonly type: 'slice.present'; readonly slice: SliceSpec }
  | { readonly type: 'slice.removed'; readonly name: string }
  | { readonly type: 'ledger.present'; readonly entry: LedgerEntry }
  | { readonly type: 'ledger.removed'; readonly host: string; readonly resourceVersion: string }
  /** Every kind was listed once and all it held has been told. Until then nothing is started or removed. */
  | { readonly type: 'world.synced' }
  /** The mounted credentials are other ones than before: what was stuck on them may go on. */
  | { readonly type: 'credentials.changed' };
