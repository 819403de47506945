import { z } from 'zod';
import { type Fault, fault } from '../fault.ts';
import { parseMeta } from './parse-meta.ts';
import { codeOf } from './refusal.ts';

/** One line of a watch (WatchEvent of the API). `object` is the parsed JSON as it came. */
export type WatchEvent =
  | {
      readonly type: 'added' | 'modified' | 'deleted';
      readonly name: string;
      readonly resourceVersion: string;
      readonly object: unknown;
    }
  | { readonly type: 'bookmark'; readonly resourceVersion: string }
  | { readonly type: 'error'; readonly fault: Fault };

export interface Page {
  readonly items: readonly { readonly name: string; readonly object: unknown }[];
  /** Token of the next page; empty on the last one. */
  readonly next: string;
  readonly resourceVersion: string;
}

const eventShape = z.object({ type: z.string(), object: z.unknown().optional() });
const bookmarkShape = z.object({ metadata: z.object({ resourceVersion: z.string().min(1).max(128) }) });
const statusShape = z.object({ code: z.int(), message: z.string().catch('') });
const types = { ADDED: 'added', MODIFIED: 'modified', DELETED: 'deleted' } as const;

/** Null when the line is no event. Pure, never throws. */
export function parseEvent(line: string): WatchEvent | null {
  const parsed = eventShape.safeParse(parseJson(line));
  if (!parsed.success) return null;
  const { type, object } = parsed.data;
  if (type === 'BOOKMARK') {
    const bookmark = bookmarkShape.safeParse(object);
    return bookmark.success
      ? { type: 'bookmark', resourceVersion: bookmark.data.metadata.resourceVersion }
      : null;
  }
  if (type === 'ERROR') {
    const status = statusShape.safeParse(object);
    const { code, message } = status.success ? status.data : { code: 500, message: 'no Status in it' };
    return { type: 'error', fault: fault(codeOf(code), `ERROR event ${code}: ${message.slice(0, 300)}`) };
  }
  if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED') return null;
  const meta = parseMeta(object);
  if (meta === null || meta.resourceVersion === null) return null;
  return { type: types[type], name: meta.name, resourceVersion: meta.resourceVersion, object };
}

const pageShape = z.object({
  metadata: z.object({ resourceVersion: z.string().min(1).max(128), continue: z.string().nullish() }),
  // An empty list is null when Go writes it.
  items: z.array(z.unknown()).nullish(),
});

/** Null when `answer` is no list. Items without a name are left out. Pure, never throws. */
export function parsePage(answer: unknown): Page | null {
  const parsed = pageShape.safeParse(answer);
  if (!parsed.success) return null;
  const { metadata, items } = parsed.data;
  return {
    items: (items ?? []).flatMap((object) => {
      const meta = parseMeta(object);
      return meta === null ? [] : [{ name: meta.name, object }];
    }),
    next: metadata.continue ?? '',
    resourceVersion: metadata.resourceVersion,
  };
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
