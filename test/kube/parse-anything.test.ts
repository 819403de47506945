import fc from 'fast-check';
import { parseLedgerSecret } from '../../src/kube/ledger-secret.ts';
import { parseIngress } from '../../src/kube/parse-ingress.ts';
import { parseService } from '../../src/kube/parse-service.ts';
import { parseSlice } from '../../src/kube/parse-slice.ts';
import { parseEvent, parsePage } from '../../src/kube/watch-event.ts';
import { plainSettings } from '../support/ingress-settings.ts';

const rules = { ingressClass: 'cloudflare-warp', defaults: plainSettings };
const keys = [
  ...['metadata', 'name', 'uid', 'annotations', 'labels', 'spec', 'rules', 'host', 'http', 'paths', 'path'],
  ...['pathType', 'backend', 'service', 'port', 'number', 'status', 'loadBalancer', 'ingress', 'endpoints'],
  ...['addresses', 'conditions', 'ready', 'ports', 'data', 'items', 'type', 'object', 'resourceVersion'],
  ...['kubernetes.io/ingress.class', 'cloudflare-warp/mode', 'cloudflare-warp/connect-timeout', '__proto__'],
];
/** Trees that look like objects of the API at every turn, and are wrong at any. */
const almost = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'medium' },
    fc.constantFrom('cloudflare-warp', 'a', 'a.example.com', '/', 'Prefix', 80, 0, -1, null, true, '', 1e99),
    fc.string(),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom(...keys), tie('value'), { maxKeys: 6 }),
  ),
})).value;
/** An Ingress that is ours, so that its parser goes all the way. */
const ours = fc.record({
  metadata: fc.record({
    name: fc.constant('a'),
    uid: fc.constant('u'),
    annotations: fc
      .dictionary(fc.constantFrom(...keys), fc.string())
      .map((others) => ({ ...others, 'kubernetes.io/ingress.class': 'cloudflare-warp' })),
  }),
  spec: fc.record({ rules: fc.array(fc.record({ host: fc.constant('a.example.com'), http: almost })) }),
  status: almost,
});

describe('whatever JSON comes', () => {
  for (const [name, parse] of [
    ['parseIngress', (value: unknown) => parseIngress(value, rules)],
    ['parseService', parseService],
    ['parseSlice', parseSlice],
    ['parseLedgerSecret', parseLedgerSecret],
    ['parsePage', parsePage],
    ['parseEvent', (value: unknown) => parseEvent(JSON.stringify(value) ?? '')],
  ] as const) {
    it(`${name} does not throw`, () => {
      fc.assert(fc.property(fc.oneof(almost, ours, fc.jsonValue()), (value) => void parse(value)));
    });
  }

  it('parseEvent does not throw at a line that is no JSON', () => {
    fc.assert(fc.property(fc.string(), (line) => void parseEvent(line)));
  });
});
