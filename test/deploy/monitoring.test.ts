import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { createMetrics } from '../../src/ops/metrics.ts';
import { deployFolder, objectsIn } from '../support/manifests-of.ts';

const folder = join(deployFolder, 'overlays', 'monitoring');
const read = (file: string): string => readFileSync(join(folder, file), 'utf8');

async function exported(): Promise<ReadonlySet<string>> {
  const text = await createMetrics().text();
  return new Set(Array.from(text.matchAll(/^# TYPE (\S+) (\S+)$/gm), ([, name = '']) => name));
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
    const { groups } = rule!['spec'] as { groups: { rules: { alert: string }[] }[] };
    const alerts = groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
    expect(alerts).to.not.be.empty;
    expect(alerts.filter((alert) => !entries.includes(`### \`${alert}\`\n`))).to.deep.equal([]);
  });

  it('lists every panel of the dashboard once', () => {
    const { panels } = JSON.parse(read('dashboard.json')) as { panels: { id: number; targets: unknown[] }[] };
    expect(new Set(panels.map(({ id }) => id)).size).to.equal(panels.length);
    expect(panels.every(({ targets }) => targets.length > 0)).to.equal(true);
  });
});
