import assert from 'node:assert/strict';
import { parseLedgerSecret } from '../../src/kube/ledger-secret.ts';
import { lineSplitter } from '../../src/kube/line-splitter.ts';
import { parseService } from '../../src/kube/parse-service.ts';
import { parseSlice } from '../../src/kube/parse-slice.ts';
import { parseEvent, parsePage } from '../../src/kube/watch-event.ts';
import { ingress, service, slice } from '../../test/support/manifests.ts';
import { mutated, words } from '../mutate-bytes.ts';
import { mutatedJson } from '../mutate-json.ts';
import { inPieces } from '../pieces.ts';
import type { FuzzTarget } from '../target.ts';

const maxLineBytes = 4_096;
const types = ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR', 'ADDED '];
const objects: readonly unknown[] = [
  service(),
  slice('web-1', 'web', 8080),
  ingress('app', 'app.example.com'),
  { metadata: { resourceVersion: '7', name: 'x' }, items: [service(), null], code: 410, message: 'gone' },
  { metadata: { name: 'cloudflare-warp-x' }, data: { host: 'YQ==', ingress: 'YQ==', token: '%%' } },
];
const dictionary = words(
  '\n',
  '\r\n',
  '\n\n',
  '"',
  '{',
  '}',
  '\xff\xfe',
  '\xe2\x80',
  '"type":"ERROR"',
  '\\ud800',
);

/** What a watch answers: one event a line. */
export const watchLines: FuzzTarget = {
  name: 'watch-lines',
  make(random) {
    const lines = random.several(5, () => {
      const object = mutatedJson(random.pick(objects), random);
      return JSON.stringify(mutatedJson({ type: random.pick(types), object }, random)) ?? '';
    });
    const text = Buffer.from(`${lines.join('\n')}\n`);
    return random.oneIn(2) ? text : mutated(text, random, dictionary);
  },
  check(input) {
    const whole = linesOf([input]);
    const cut = linesOf(inPieces(input));
    assert.deepEqual([cut.lines.slice(0, whole.lines.length), cut.tooLong], [whole.lines, whole.tooLong]);
    for (const line of cut.lines) {
      assert.ok(Buffer.byteLength(line) <= 3 * maxLineBytes);
      const event = parseEvent(line);
      if (event === null) continue;
      if (event.type === 'error') assert.ok(event.fault.message.length < 400);
      else assert.notEqual(event.resourceVersion, '');
      if (!('object' in event)) continue;
      parsePage(event.object);
      const found = parseService(event.object);
      for (const { port } of found?.ports ?? []) assert.ok(port >= 1 && port <= 65_535);
      parseSlice(event.object);
      parseLedgerSecret(event.object);
    }
  },
};

function linesOf(pieces: readonly Buffer[]): { lines: string[]; tooLong: boolean } {
  const splitter = lineSplitter(maxLineBytes);
  const lines: string[] = [];
  for (const piece of pieces) {
    const taken = splitter.push(piece);
    if (taken === null) return { lines, tooLong: true };
    lines.push(...taken);
  }
  return { lines, tooLong: false };
}
