import { expect } from 'chai';
import { type FaultKind, ruleIn, ruleOf, stallRule } from '../../chaos/faults.ts';
import { type FailedRequest, type FaultRecord, overdue, unexplained } from '../../chaos/verdict.ts';

const hosts = ['a', 'b', 'c'];

/** One controller with a thread for each tunnel. */
const alone = { replicas: 1, pods: 0, isolated: true };

/** From 100 to 200; it hit until 110, and the hosts named are whole at 300. */
function fault(kind: FaultKind, more: Partial<FaultRecord> = {}): FaultRecord {
  const wholeMs = new Map(hosts.map((host) => [host, 300]));
  return {
    index: 0,
    kind,
    rule: ruleOf(kind),
    hosts: ruleOf(kind).hosts === 'own' ? ['a'] : hosts,
    startMs: 100,
    hitMs: 110,
    endMs: 200,
    wholeMs,
    ...more,
  };
}

function failed(host: string, startMs: number, endMs: number, status = 502): FailedRequest {
  return { host, startMs, endMs, status, why: 'error code: 502' };
}

describe('the verdict on a failed request', () => {
  const cutHost = fault('edge-cut-host');
  const cutOne = fault('edge-cut-one');
  const exits = fault('thread-exits');
  const exitsAlone = fault('thread-exits', { rule: ruleIn(alone, 'thread-exits') });
  const exitsOfOne = fault('thread-exits', { rule: ruleIn({ ...alone, replicas: 2 }, 'thread-exits') });
  const podKilled = fault('pod-killed');
  const podDeleted = fault('pod-deleted', { index: 1 });
  const stall = fault('edge-cut-all', { kind: 'stall', rule: stallRule });
  const refuses = fault('edge-refuses', { index: 1 });
  const sigterm = fault('controller-terminated');
  const cases: [
    title: string,
    faults: readonly FaultRecord[],
    requests: readonly FailedRequest[],
    said: number,
  ][] = [
    ['no fault at all', [], [failed('a', 120, 130)], 1],
    ['a fault that takes nothing', [fault('kubernetes-outage')], [failed('a', 120, 130)], 1],
    ['a fault that takes its host', [cutHost], [failed('a', 120, 130)], 0],
    ['a fault that takes another host', [cutHost], [failed('b', 120, 130)], 1],
    ['a fault that is yet to come', [cutHost], [failed('a', 80, 99)], 1],
    ['a fault that came while it was open', [cutHost], [failed('a', 80, 101)], 0],
    ['its host not whole yet', [cutHost], [failed('a', 290, 310)], 0],
    ['its host whole again', [cutHost], [failed('a', 301, 310)], 1],
    [
      'its host never whole again',
      [fault('edge-cut-host', { wholeMs: new Map() })],
      [failed('a', 900, 910)],
      0,
    ],
    ['open on the connection that was cut', [cutOne], [failed('a', 105, 120)], 0],
    ['begun after that connection was gone', [cutOne], [failed('a', 111, 120)], 1],
    ['two that each take some of its connections', [cutOne, refuses], [failed('a', 120, 130)], 0],
    [
      'two, but the other of another host',
      [cutOne, { ...refuses, hosts: ['b'] }],
      [failed('a', 120, 130)],
      1,
    ],
    [
      'one that takes some when another had taken some in order',
      [podKilled, podDeleted],
      [failed('a', 120, 130)],
      0,
    ],
    [
      'the second of two pods that are deleted at once',
      [podDeleted, { ...podDeleted, index: 2 }],
      [failed('a', 150, 160)],
      0,
    ],
    ['a machine that had no time for the edge', [stall], [failed('a', 120, 130)], 0],
    ['a pod that is deleted in order', [podDeleted], [failed('a', 105, 130)], 1],
    ['a thread that died while another replica served', [exitsOfOne], [failed('a', 150, 160)], 1],
    [
      'a host that has nothing to do with threads',
      [{ ...sigterm, hosts: ['a'] }],
      [failed('b', 150, 160, 530)],
      1,
    ],
    ['open on the thread that died', [exits], [failed('a', 90, 101), failed('b', 90, 101)], 0],
    ['one host that was alone on the thread', [exits], [failed('b', 150, 160), failed('b', 250, 260)], 0],
    [
      'two hosts that cannot both have been alone on it',
      [exits],
      [failed('a', 150, 160), failed('b', 150, 160)],
      1,
    ],
    [
      'two hosts that two threads at once have taken',
      [exitsAlone, { ...exitsAlone, index: 1 }],
      [failed('a', 150, 160), failed('b', 150, 160)],
      0,
    ],
    ['one host, each in a thread of its own', [exitsAlone], [failed('b', 90, 101)], 0],
    ['two hosts, each in a thread of its own', [exitsAlone], [failed('a', 90, 101), failed('b', 90, 101)], 1],
    ['a stop in order, and no connection any more', [sigterm], [failed('a', 150, 160, 530)], 0],
    ['a stop in order that breaks a request off', [sigterm], [failed('a', 99, 110, 502)], 1],
  ];
  for (const [title, faults, requests, said] of cases) {
    it(`${said === 0 ? 'is none' : 'blames'} with ${title}`, () => {
      expect(unexplained(requests, faults)).to.have.length(said);
    });
  }

  it('says what failed, where and when', () => {
    expect(unexplained([failed('a', 1_000, 1_500)], [])).to.deep.equal([
      'a was healthy, and a request failed (502: error code: 502) at 1.0 s after 500 ms',
    ]);
  });
});

describe('the verdict on hosts that return', () => {
  const { boundMs } = ruleOf('edge-cut-host');
  const wholeAt = (ms: number) => new Map([['a', ms]]);
  const late = fault('edge-cut-host', { wholeMs: wholeAt(201 + boundMs) });

  it('asks for every host concerned within the bound, and for no other', () => {
    expect(overdue([fault('edge-cut-host', { wholeMs: wholeAt(200 + boundMs) })], 1)).to.deep.equal([]);
    expect(overdue([late], 1)).to.have.length(1);
    expect(overdue([late], 2)).to.deep.equal([]);
    expect(overdue([fault('edge-cut-host', { wholeMs: new Map() })], 1)[0]).to.contain('not at all');
    expect(overdue([fault('edge-cut-all', { wholeMs: wholeAt(300) })], 1)).to.have.length(2);
  });

  it('waits for another fault that takes the host meanwhile, as long as that may take', () => {
    const again = fault('edge-cut-host', {
      index: 1,
      startMs: 300,
      endMs: 310,
      wholeMs: wholeAt(201 + boundMs),
    });
    expect(overdue([late, again], 1)).to.deep.equal([]);
    expect(overdue([late, { ...again, hosts: ['b'], wholeMs: new Map([['b', 400]]) }], 1)).to.have.length(1);
  });

  it('asks of a fault that only blinds that all is seen again within its bound', () => {
    const bound = ruleOf('kubernetes-outage').boundMs;
    const seenAt = (ms: number) => new Map(hosts.map((host) => [host, ms]));
    expect(overdue([fault('kubernetes-outage', { wholeMs: seenAt(200 + bound) })], 1)).to.deep.equal([]);
    expect(overdue([fault('kubernetes-outage', { wholeMs: seenAt(201 + bound) })], 1)).to.have.length(3);
  });

  it('lets what follows a long outage of Cloudflare hold up the host that waits for it, as any change of an Ingress', () => {
    const { boundMs } = ruleOf('cloudflare-long-outage');
    const outage = fault('cloudflare-long-outage', { wholeMs: new Map([['a', 200 + 1.5 * boundMs]]) });
    expect(overdue([outage], 1)).to.have.length(1);
    for (const kind of [
      'cloudflare-fails',
      'kubernetes-fails',
      'controller-killed',
      'edge-unreachable',
    ] as const) {
      const next = fault(kind, { hosts: ['b'], startMs: 300, endMs: 200 + boundMs });
      expect(overdue([outage, { ...next, wholeMs: new Map([['b', 400]]) }], 1), kind).to.deep.equal([]);
    }
  });

  it('lets an outage of an API hold up what needs that API, and nothing else', () => {
    const outage = fault('cloudflare-outage', {
      index: 1,
      startMs: 150,
      endMs: 5_000,
      wholeMs: new Map(hosts.map((host) => [host, 5_001])),
    });
    const recreated = fault('ingress-recreated', { wholeMs: late.wholeMs });
    expect(overdue([recreated, outage], 1)).to.deep.equal([]);
    const stillLate = wholeAt(5_001 + outage.rule.boundMs + recreated.rule.boundMs);
    expect(overdue([{ ...recreated, wholeMs: stillLate }, outage], 1)).to.have.length(1);
    expect(overdue([late, outage], 1), 'a cut host needs no API').to.have.length(1);
  });
});
