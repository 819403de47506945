import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { routesToUrl } from '../../src/domain/url-routes.ts';
import { tunnelPods } from '../../src/kube/pods/tunnel-deployment.ts';
import { createMetrics } from '../../src/ops/metrics.ts';
import { createTunnelMetrics } from '../../src/ops/tunnel-metrics.ts';
import { deployFolder, objectsIn } from '../support/manifests-of.ts';
import { podSettings } from '../support/pod-settings.ts';

const folder = join(deployFolder, 'overlays', 'monitoring');
const read = (file: string): string => readFileSync(join(folder, file), 'utf8');

const typesIn = (text: string): string[] =>
  Array.from(text.matchAll(/^# TYPE (.+)$/gm), ([, type = '']) => type);

async function exported(): Promise<ReadonlySet<string>> {
  const text = await createMetrics().text();
  return new Set(typesIn(text).map((type) => type.split(' ', 1)[0]!));
}

interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly { key: string; operator: string; values: readonly string[] }[];
}

function selects(
  { matchLabels = {}, matchExpressions = [] }: Selector,
  labels: Record<string, string>,
): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values }) => operator === 'In' && values.includes(labels[key]!))
  );
}

interface Template {
  readonly metadata: { readonly labels: Record<string, string> };
  readonly spec: { readonly containers: readonly { readonly ports: readonly { readonly name: string }[] }[] };
}

function templateOf(deployment: unknown): Template {
  return (deployment as { spec: { template: Template } }).spec.template;
}

function tunnelTemplate(): Template {
  const host = 'app.example.com';
  const made = tunnelPods(
    {
      host,
      ingress: 'web',
      tunnel: { accountId: 'a', id: 't', token: 's' },
      haConnections: 4,
      place: { mode: 'pod', replicas: 1 },
      routes: routesToUrl(host, 'http://svc'),
    },
    podSettings,
  );
  return templateOf(made.ok ? made.value.deployment : null);
}

const used = (text: string): string[] => [
  ...new Set(Array.from(text.matchAll(/warp_ingress_\w+/g), ([name]) => name.replace(/_bucket$/, ''))),
];

describe('monitoring', () => {
  for (const file of ['prometheus-rule.yaml', 'dashboard.json']) {
    it(`asks in ${file} for metrics that there are`, async () => {
      const metrics = await exported();
      expect(used(read(file))).to.not.be.empty;
      expect(used(read(file)).filter((name) => !metrics.has(name))).to.deep.equal([]);
    });
  }

  it('has an entry in the troubleshooting for each alert', () => {
    const entries = readFileSync('docs/troubleshooting.md', 'utf8');
    const rule = objectsIn(folder).find(({ kind }) => kind === 'PrometheusRule');
    const { groups } = rule!.spec as { groups: { rules: { alert: string }[] }[] };
    const alerts = groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
    expect(alerts).to.not.be.empty;
    expect(alerts.filter((alert) => !entries.includes(`### \`${alert}\`\n`))).to.deep.equal([]);
  });

  it('scrapes the controller and tunnels in pods, on a port that they have and that their policy opens', () => {
    const { selector, podMetricsEndpoints } = objectsIn(folder).find(({ kind }) => kind === 'PodMonitor')!
      .spec as { selector: Selector; podMetricsEndpoints: { port: string; path: string }[] };
    const overlay = (name: string) => objectsIn(join(deployFolder, name));
    for (const [template, objects] of [
      [templateOf(overlay('base').find(({ kind }) => kind === 'Deployment')), overlay('base')],
      [tunnelTemplate(), overlay('overlays/pod-mode')],
    ] as const) {
      const { labels } = template.metadata;
      expect(selects(selector, labels), JSON.stringify(labels)).to.equal(true);
      const policy = objects.find(({ kind }) => kind === 'NetworkPolicy')!.spec as {
        podSelector: Selector;
        ingress: { ports: { port: string }[] }[];
      };
      expect(selects(policy.podSelector, labels)).to.equal(true);
      const open = policy.ingress.flatMap(({ ports }) => ports.map(({ port }) => port));
      const ports = template.spec.containers.flatMap((each) => each.ports.map(({ name }) => name));
      for (const { port, path } of podMetricsEndpoints) {
        expect(path).to.equal('/metrics');
        expect(ports).to.include(port);
        expect(open).to.include(port);
      }
    }
  });

  it('finds in a pod, under the same names and types, what the controller has of its own tunnels', async () => {
    const inPod = typesIn(await createTunnelMetrics('app.example.com').text());
    expect(typesIn(await createMetrics().text())).to.include.members(inPod);
    expect(inPod.map((type) => type.split(' ', 1)[0])).to.have.members(
      ['tunnel_connections', 'requests_total', 'request_duration_seconds', 'origin_errors_total'].map(
        (name) => `warp_ingress_${name}`,
      ),
    );
  });

  it('lists every panel of the dashboard once', () => {
    const { panels } = JSON.parse(read('dashboard.json')) as { panels: { id: number; targets: unknown[] }[] };
    expect(new Set(panels.map(({ id }) => id)).size).to.equal(panels.length);
    expect(panels.every(({ targets }) => targets.length > 0)).to.equal(true);
  });
});
