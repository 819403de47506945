import { expect } from 'chai';
import fc from 'fast-check';
import type { SeenRecord } from '../../src/cloudflare/api-objects.ts';
import {
  type DnsScene,
  type DnsWish,
  isPublished,
  planPublication,
  planRemoval,
} from '../../src/cloudflare/dns-plan.ts';
import { markContent } from '../../src/cloudflare/owner-mark.ts';

const host = 'app.example.com';
const tunnelId = '11111111-1111-4111-8111-111111111111';
const otherTunnel = '22222222-2222-4222-8222-222222222222';
const wish: DnsWish = { host, identity: 'me', tunnelId, knownCnameId: null, apex: false };

function record(id: string, type: string, content: string, proxied = true): SeenRecord {
  return { id, type, name: host, content, proxied };
}

function cnameTo(id: string, tunnel: string): SeenRecord {
  return record(id, 'CNAME', `${tunnel}.cfargotunnel.com`);
}

function mark(id: string, owner: string, of: string): SeenRecord {
  return record(id, 'TXT', markContent({ owner, host, record: of }), false);
}

describe('the plan for a published name', () => {
  const cases: readonly [string, DnsScene, Partial<DnsWish>, string][] = [
    ['nothing there: both are created', { records: [], marks: [] }, {}, 'create'],
    [
      'ours as it should be: nothing',
      { records: [cnameTo('c', tunnelId)], marks: [mark('t', 'me', 'c')] },
      {},
      'none',
    ],
    [
      'ours with another target: updated',
      { records: [cnameTo('c', otherTunnel)], marks: [mark('t', 'me', 'c')] },
      {},
      'update',
    ],
    [
      'ours, repointed by hand: updated',
      { records: [record('c', 'CNAME', 'elsewhere.example.net')], marks: [mark('t', 'me', 'c')] },
      {},
      'update',
    ],
    [
      'ours, no longer proxied: updated',
      { records: [{ ...cnameTo('c', tunnelId), proxied: false }], marks: [mark('t', 'me', 'c')] },
      {},
      'update',
    ],
    [
      'ours by the ledger alone: updated',
      { records: [cnameTo('c', otherTunnel)], marks: [] },
      { knownCnameId: 'c' },
      'update',
    ],
    ['interrupted before the mark: kept', { records: [cnameTo('c', tunnelId)], marks: [] }, {}, 'none'],
    [
      'our mark alone: the record comes back',
      { records: [], marks: [mark('t', 'me', 'gone')] },
      {},
      'create',
    ],
    [
      'other records beside: not in the way',
      { records: [record('m', 'MX', 'mx.example.net')], marks: [] },
      {},
      'create',
    ],
    [
      'NS at an apex: not in the way',
      { records: [record('n', 'NS', 'ns.example.net')], marks: [] },
      { apex: true },
      'create',
    ],
    ['somebody’s A', { records: [record('a', 'A', '192.0.2.1')], marks: [] }, {}, 'conflict'],
    [
      'somebody’s AAAA beside our mark',
      { records: [record('a', 'AAAA', '::1')], marks: [mark('t', 'me', 'a')] },
      {},
      'conflict',
    ],
    ['somebody’s CNAME', { records: [record('c', 'CNAME', 'x.example.net')], marks: [] }, {}, 'conflict'],
    [
      'somebody’s CNAME where ours had been',
      { records: [record('new', 'CNAME', 'x.example.net')], marks: [mark('t', 'me', 'old')] },
      { knownCnameId: 'old' },
      'conflict',
    ],
    [
      'another install’s',
      { records: [cnameTo('c', otherTunnel)], marks: [mark('t', 'you', 'c')] },
      {},
      'conflict',
    ],
    ['another install’s mark alone', { records: [], marks: [mark('t', 'you', 'c')] }, {}, 'conflict'],
    ['a delegation', { records: [record('n', 'NS', 'ns.example.net')], marks: [] }, {}, 'conflict'],
  ];
  for (const [what, scene, more, expected] of cases) {
    it(`${what} (${expected})`, () => {
      const step = planPublication(scene, { ...wish, ...more });
      expect(step.type === 'conflict' ? 'conflict' : step.cname.write).to.equal(expected);
    });
  }

  it('names in a conflict what was found, whose it is, and what to do', () => {
    const step = planPublication(
      { records: [cnameTo('c', otherTunnel)], marks: [mark('t', 'you', 'c')] },
      wish,
    );
    expect(step.type === 'conflict' && step.message).to.equal(
      `app.example.com has a record CNAME ${otherTunnel}.cfargotunnel.com of the install "you"; it was not touched: remove it, or set the annotation cloudflare-warp/dns to off`,
    );
  });

  it('keeps the mark at a removal when a newer tunnel of ours has taken the name over', () => {
    const scene = { records: [cnameTo('new', otherTunnel)], marks: [mark('t', 'me', 'new')] };
    expect(planRemoval(scene, wish)).to.deep.equal([]);
  });

  it('takes only the mark away when somebody has repointed our record to a place of theirs', () => {
    const scene = { records: [record('c', 'CNAME', 'theirs.example.net')], marks: [mark('t', 'me', 'c')] };
    expect(planRemoval(scene, wish)).to.deep.equal(['t']);
  });
});

/** A zone at one name, in which plans are carried out write by write. */
class Model {
  records: SeenRecord[];
  marks: SeenRecord[];
  #next = 0;

  constructor(scene: DnsScene) {
    this.records = [...scene.records];
    this.marks = [...scene.marks];
  }

  /** Carries out at most `writes` of them; answers whether all were. */
  publish(writes: number): boolean {
    const step = planPublication(this, wish);
    if (step.type === 'conflict') return true;
    let left = writes;
    let cnameId = step.cname.id;
    if (step.cname.write !== 'none') {
      if (left-- === 0) return false;
      cnameId ??= `new${this.#next++}`;
      this.records = [...this.records.filter((one) => one.id !== cnameId), cnameTo(cnameId, tunnelId)];
    }
    if (step.mark?.says.record !== cnameId) {
      if (left-- === 0) return false;
      const id = step.mark?.id ?? `new${this.#next++}`;
      this.marks = [...this.marks.filter((one) => one.id !== id), mark(id, 'me', cnameId!)];
    }
    for (const id of step.surplus) {
      if (left-- === 0) return false;
      this.marks = this.marks.filter((one) => one.id !== id);
    }
    return true;
  }

  remove(writes: number): void {
    for (const id of planRemoval(this, wish).slice(0, writes)) {
      this.records = this.records.filter((one) => one.id !== id);
      this.marks = this.marks.filter((one) => one.id !== id);
    }
  }
}

const target = fc.constantFrom(
  `${tunnelId}.cfargotunnel.com`,
  `${otherTunnel}.cfargotunnel.com`,
  'x.example.net',
);
const scenes: fc.Arbitrary<DnsScene> = fc.record({
  // What Cloudflare lets stand beside each other: one CNAME, or addresses, and others.
  records: fc.oneof(
    fc.constant([]),
    target.map((to) => [record('c', 'CNAME', to)]),
    fc.constant([record('a', 'A', '192.0.2.1'), record('b', 'AAAA', '::1')]),
    fc.constant([record('m', 'MX', 'mx.example.net')]),
  ),
  marks: fc.uniqueArray(
    fc
      .tuple(fc.constantFrom('t1', 't2', 't3'), fc.constantFrom('me', 'you'), fc.constantFrom('c', 'old', ''))
      .map(([id, owner, of]) => mark(id, owner, of)),
    { maxLength: 3, selector: (one) => one.id },
  ),
});

/** Whose each record is, by the rule as a user would say it: ours leads to our tunnel or is named by our mark. */
function foreign(scene: DnsScene): SeenRecord[] {
  const says = (owner: string, id: string): boolean =>
    scene.marks.some((one) => one.content === markContent({ owner, host, record: id }));
  const ours = (one: SeenRecord): boolean => {
    if (one.type === 'TXT') return one.content.includes('owner=me,');
    if (one.type !== 'CNAME') return false;
    return says('me', one.id) || (one.content.startsWith(tunnelId) && !says('you', one.id));
  };
  return [...scene.records, ...scene.marks].filter((one) => !ours(one));
}

describe('plans carried out, from whatever is there', () => {
  it('never touch what is not ours', () => {
    fc.assert(
      fc.property(
        scenes,
        fc.integer({ min: 0, max: 5 }),
        fc.integer({ min: 0, max: 5 }),
        (scene, some, more) => {
          const model = new Model(scene);
          model.publish(some);
          model.remove(more);
          model.publish(9);
          expect([...model.records, ...model.marks]).to.include.members(foreign(scene));
        },
      ),
    );
  });

  it('lead to the same end after an interruption at any write, and then to nothing more to do', () => {
    fc.assert(
      fc.property(scenes, fc.integer({ min: 0, max: 4 }), (scene, interruptedAfter) => {
        const straight = new Model(scene);
        expect(straight.publish(9)).to.equal(true);
        const interrupted = new Model(scene);
        interrupted.publish(interruptedAfter);
        interrupted.publish(9);
        const texts = (model: Model): string[] =>
          [...model.records, ...model.marks]
            .map((one) => `${one.type} ${one.content.replace(/new\d/, 'new')}`)
            .sort();
        expect(texts(interrupted)).to.deep.equal(texts(straight));
        expect(straight.publish(0), 'a second run writes nothing').to.equal(true);
      }),
    );
  });

  it('leave nothing of ours after a removal that was interrupted at any write and resumed', () => {
    fc.assert(
      fc.property(scenes, fc.integer({ min: 0, max: 4 }), (scene, interruptedAfter) => {
        const model = new Model(scene);
        model.publish(9);
        const published = planPublication(model, wish).type === 'publish';
        model.remove(interruptedAfter);
        model.remove(9);
        if (!published) return;
        expect([...model.records, ...model.marks]).to.have.deep.members(
          foreign(scene).filter((one) => !one.content.startsWith(tunnelId)),
        );
      }),
    );
  });
});

describe('the two records that the ledger names', () => {
  const cname = cnameTo('c', tunnelId);
  const cases: [title: string, cname: SeenRecord | null, mark: SeenRecord | null, published: boolean][] = [
    ['are ours as they were written', cname, mark('t', 'me', 'c'), true],
    ['are ours wherever the name leads', cnameTo('c', otherTunnel), mark('t', 'me', 'c'), true],
    ['are not there without the name', null, mark('t', 'me', 'c'), false],
    ['are not there without the mark', cname, null, false],
    ['are not ours with the mark of somebody else', cname, mark('t', 'other', 'c'), false],
    ['are not ours with a mark on another record', cname, mark('t', 'me', 'd'), false],
    [
      'are not ours with the mark of another host',
      cname,
      record('t', 'TXT', markContent({ owner: 'me', host: 'b.example.com', record: 'c' })),
      false,
    ],
    ['are not ours with a text that is no mark', cname, record('t', 'TXT', 'v=spf1 -all'), false],
    ['are not ours as an address', record('c', 'A', '192.0.2.1'), mark('t', 'me', 'c'), false],
    ['are not ours under another name', { ...cname, name: 'b.example.com' }, mark('t', 'me', 'c'), false],
  ];
  for (const [title, name, owner, published] of cases) {
    it(title, () => expect(isPublished(name, owner, wish)).to.equal(published));
  }
});
