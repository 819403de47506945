import { expect } from 'chai';
import fc from 'fast-check';
import { type Cleared, type HostIntent, type HostStep, nextStep } from '../../src/domain/host-plan.ts';
import type { LedgerEntry } from '../../src/domain/ledger.ts';

const tunnel = { accountId: 'a', id: 't', token: 'k' };
const dns = { zoneId: 'z', cnameId: 'c', txtId: 'x' };

function entry(parts: Partial<LedgerEntry> = {}): LedgerEntry {
  return {
    host: 'app.example.com',
    ingress: 'web',
    identity: 'id',
    tunnelName: 'warp-id-app.example.com',
    tunnel: null,
    publishes: true,
    dns: null,
    resourceVersion: '1',
    ...parts,
  };
}

const wanted: HostIntent = { kind: 'wanted', ingress: 'web', dns: 'managed' };
const unpublished: HostIntent = { kind: 'wanted', ingress: 'web', dns: 'off' };
const kept: HostIntent = { kind: 'kept' };
const unwanted: HostIntent = { kind: 'unwanted' };

const cases: readonly [
  what: string,
  intent: HostIntent,
  ledger: LedgerEntry | null,
  running: boolean,
  cleared: Cleared,
  step: HostStep | null,
][] = [
  ['a new host is written down first', wanted, null, false, 'nothing', 'record'],
  ['a recorded host gets its tunnel', wanted, entry(), false, 'nothing', 'create-tunnel'],
  ['a tunnel gets its name', wanted, entry({ tunnel }), true, 'nothing', 'publish-dns'],
  [
    'records whose removal had begun are looked at',
    wanted,
    entry({ tunnel, dns: { ...dns, leaving: true } }),
    true,
    'nothing',
    'publish-dns',
  ],
  ['a published host needs nothing', wanted, entry({ tunnel, dns }), true, 'nothing', null],
  [
    'a host of another Ingress is taken over first',
    wanted,
    entry({ ingress: 'old', tunnel, dns }),
    false,
    'nothing',
    'record',
  ],
  ['dns: off publishes nothing', unpublished, entry({ tunnel, publishes: false }), true, 'nothing', null],
  [
    'a host that begins to be published is written down first',
    wanted,
    entry({ tunnel, publishes: false }),
    true,
    'nothing',
    'record',
  ],
  [
    'dns: off takes back what an interrupted publication may have left',
    unpublished,
    entry({ tunnel }),
    true,
    'nothing',
    'withdraw-dns',
  ],
  [
    'what was never published is not looked for',
    unwanted,
    entry({ tunnel, publishes: false }),
    false,
    'nothing',
    'remove-tunnel',
  ],
  [
    'dns: off takes back what was published',
    unpublished,
    entry({ tunnel, dns }),
    true,
    'nothing',
    'withdraw-dns',
  ],
  ['an unreadable Ingress changes nothing', kept, entry({ tunnel }), true, 'nothing', null],
  [
    'a removed host loses its name first, while it still drains',
    unwanted,
    entry({ tunnel, dns }),
    true,
    'nothing',
    'withdraw-dns',
  ],
  ['a tunnel is not removed under a running connector', unwanted, entry({ tunnel, dns }), true, 'dns', null],
  ['a drained tunnel is removed', unwanted, entry({ tunnel, dns }), false, 'dns', 'remove-tunnel'],
  ['the ledger is forgotten last', unwanted, entry({ tunnel, dns }), false, 'tunnel', 'forget'],
  [
    'records that the ledger does not know of are looked for',
    unwanted,
    entry({ tunnel }),
    false,
    'nothing',
    'withdraw-dns',
  ],
  ['an interrupted creation is removed by name', unwanted, entry(), false, 'nothing', 'remove-tunnel'],
  ['nothing recorded, nothing to remove', unwanted, null, false, 'nothing', null],
];

describe('host plan', () => {
  for (const [what, intent, ledger, running, cleared, step] of cases) {
    it(what, () => expect(nextStep(intent, { ledger, running, cleared, doubt: 'none' })).to.equal(step));
  }

  it('looks for a token that is spoilt, where the tunnel is still wanted', () => {
    const ledger = entry({ tunnel: { ...tunnel, token: null }, dns });
    const facts = { ledger, running: false, cleared: 'nothing' as const, doubt: 'none' as const };
    expect(nextStep(wanted, facts)).to.equal('verify-tunnel');
    expect(nextStep(unwanted, facts)).to.equal('withdraw-dns');
  });

  it('verifies a doubted tunnel before its records', () => {
    const facts = { ledger: entry({ tunnel }), running: true, cleared: 'nothing' as const };
    expect(nextStep(wanted, { ...facts, doubt: 'tunnel' })).to.equal('verify-tunnel');
    expect(nextStep(unwanted, { ...facts, doubt: 'tunnel' })).to.equal('withdraw-dns');
  });
  it('publishes doubted records again, and those only', () => {
    const facts = {
      ledger: entry({ tunnel, dns }),
      running: true,
      cleared: 'nothing' as const,
      doubt: 'dns' as const,
    };
    expect(nextStep(wanted, facts)).to.equal('publish-dns');
    expect(nextStep(unpublished, { ...facts, ledger: entry({ tunnel, publishes: false }) })).to.equal(null);
  });

  it('reaches its goal from every state, and never needs more than four steps', () => {
    const states = fc.record({
      ledger: fc.option(
        fc.record({
          ingress: fc.constantFrom('web', 'old'),
          tunnel: fc.constantFrom(null, tunnel),
          dns: fc.constantFrom(null, dns),
          publishes: fc.constant(true),
        }),
      ),
      intent: fc.constantFrom(wanted, unpublished, unwanted),
    });
    fc.assert(
      fc.property(states, (start) => {
        let ledger = start.ledger === null ? null : entry(start.ledger);
        let cleared: Cleared = 'nothing';
        const steps: HostStep[] = [];
        for (;;) {
          const step = nextStep(start.intent, { ledger, running: false, cleared, doubt: 'none' });
          if (step === null) break;
          steps.push(step);
          expect(steps.length, steps.join()).to.be.at.most(4);
          if (step === 'record') {
            ledger = entry({
              ...ledger,
              ingress: 'web',
              publishes: ledger?.publishes || start.intent === wanted,
            });
          }
          if (step === 'create-tunnel') ledger = entry({ ...ledger, tunnel });
          if (step === 'publish-dns') ledger = entry({ ...ledger, dns });
          if (step === 'withdraw-dns' && start.intent.kind === 'wanted') {
            ledger = entry({ ...ledger, publishes: false, dns: null });
          }
          if (step === 'withdraw-dns' && start.intent.kind === 'unwanted') cleared = 'dns';
          if (step === 'remove-tunnel') cleared = 'tunnel';
          if (step === 'forget') ledger = null;
        }
        if (start.intent.kind === 'unwanted') expect(ledger).to.equal(null);
        else expect(ledger).to.include({ ingress: 'web', tunnel });
      }),
    );
  });
});
