import assert from 'node:assert/strict';
import { isPublishableHost } from '../../src/domain/host.ts';
import { parseIngress } from '../../src/kube/parse-ingress.ts';
import { plainSettings } from '../../test/support/ingress-settings.ts';
import { mutated, words } from '../mutate-bytes.ts';
import { mutatedJson } from '../mutate-json.ts';
import type { Random } from '../random.ts';
import type { FuzzTarget } from '../target.ts';

const rules = { ingressClass: 'cloudflare-warp', defaults: plainSettings };
const prefix = 'cloudflare-warp/';
const annotations: Readonly<Record<string, readonly string[]>> = {
  mode: ['worker', 'pod', 'POD', ''],
  replicas: ['1', '25', '26', '01', '1e1', '-1'],
  'ha-connections': ['4', '0', '5', ' 4'],
  'no-backend': ['close', '503', '404'],
  'backend-protocol': ['http', 'https', 'h2c', 'tcp', 'grpc'],
  'origin-server-name': ['a.example.com', 'a/b', '-', 'x'.repeat(300)],
  'no-tls-verify': ['true', 'false', 'yes'],
  'ca-secret': ['ca', '../ca', 'CA'],
  'http-host-header': ['a:80', 'a\r\nb: c', '[::1]'],
  'connect-timeout': ['30s', '1m30s', '0s', '25h', '1ns', '99999999999999999999s', '1.5h', '-1s', 's'],
  'keepalive-connections': ['0', '100000', '100001'],
  'access-team': ['acme', 'acme.cloudflareaccess.com', 'Acme', 'a/b', 'evil.com'],
  'access-aud': ['app', 'a,b', ',', 'x'.repeat(129), 'a,'.repeat(30)],
};
const dictionary = words(
  '"',
  '\\u0000',
  '{',
  '}',
  '[',
  ']',
  ',',
  'null',
  '"rules":',
  'cloudflare-warp/',
  '1e999',
);

/** An Ingress that names us, as JSON. */
export const ingress: FuzzTarget = {
  name: 'ingress',
  make(random) {
    const text = Buffer.from(JSON.stringify(mutatedJson(anIngress(random), random)) ?? '');
    return random.oneIn(3) ? mutated(text, random, dictionary) : text;
  },
  check(input) {
    const object = parsedJson(input);
    const parsed = parseIngress(object, rules);
    assert.deepEqual(parseIngress(parsedJson(input), rules), parsed);
    if (parsed.kind !== 'ours') return;
    const { hosts, problems, refused, settings, unservable } = parsed.spec;
    for (const name of [...hosts.map(({ host }) => host), ...unservable]) assert.ok(isPublishableHost(name));
    for (const { paths } of hosts) {
      assert.ok(paths.length > 0 && paths.every(({ path }) => path.startsWith('/')));
    }
    assert.ok(problems.length <= 21);
    for (const { where, message } of problems) {
      assert.ok(where.length + message.length < 1_500, 'a sentence that nobody reads');
      // It goes into Events, log lines and the status.
      assert.doesNotMatch(message, /[\r\n\0]/);
    }
    assert.ok(!refused || problems.length > 0, 'refused without a word');
    assert.ok(settings.replicas >= 1 && settings.replicas <= 25);
    assert.ok(settings.haConnections >= 1 && settings.haConnections <= 4);
    assert.ok(Number.isSafeInteger(settings.origin.connectTimeoutMs));
  },
};

function anIngress(random: Random): unknown {
  const chosen = random.several(3, () => random.pick(Object.entries(annotations)));
  const path = () => ({
    path: random.pick(['/', '/a', 'a', '', '/a/']),
    pathType: random.pick(['Prefix', 'Exact', 'ImplementationSpecific', 'prefix']),
    backend: { service: { name: 'web', port: random.pick([{ number: 80 }, { name: 'http' }, {}]) } },
  });
  return {
    metadata: {
      name: 'app',
      uid: 'u',
      creationTimestamp: '2026-01-01T00:00:00Z',
      annotations: {
        'kubernetes.io/ingress.class': 'cloudflare-warp',
        ...Object.fromEntries(chosen.map(([key, values]) => [prefix + key, random.pick(values)])),
      },
    },
    spec: {
      rules: random.several(3, () => ({
        host: random.pick(['app.example.com', '*.example.com', 'APP.example.com', 'a..b', '']),
        http: { paths: random.several(3, path) },
      })),
    },
    status: { loadBalancer: { ingress: [{ hostname: 'x.cfargotunnel.com' }] } },
  };
}

function parsedJson(input: Buffer): unknown {
  try {
    return JSON.parse(input.toString('utf8'));
  } catch {
    return undefined;
  }
}
