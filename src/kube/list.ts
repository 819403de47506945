import { failed, ok, type Result } from '../fault.ts';
import type { KubeClient, Resource } from './client.ts';
import { type Page, parsePage } from './watch-event.ts';

/** Objects per request. */
const pageSize = 500;

/**
 * All objects of one kind as they are now, once. Where the token of a next page has expired all come in one
 * answer, so that nothing is missing that was there all the time.
 */
export async function listObjects(
  client: KubeClient,
  resource: Resource,
  selector: { readonly labelSelector?: string },
  signal: AbortSignal,
): Promise<Result<Page['items']>> {
  const paged = await listPages(client, resource, { ...selector, limit: String(pageSize) }, signal);
  if (paged.ok || paged.fault.code !== 'kube-expired') return paged;
  return listPages(client, resource, { ...selector }, signal);
}

async function listPages(
  client: KubeClient,
  resource: Resource,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Result<Page['items']>> {
  const items: Page['items'][number][] = [];
  let next = '';
  do {
    const paging = next === '' ? query : { ...query, continue: next };
    const answer = await client.call({ method: 'GET', resource, query: paging }, signal);
    if (!answer.ok) return answer;
    const page = parsePage(answer.value);
    if (page === null) return failed('kube-refused', `GET ${resource}: the answer is no list`);
    items.push(...page.items);
    next = page.next;
  } while (next !== '');
  return ok(items);
}
