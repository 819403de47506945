import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { readControllerConfig } from '../../src/config.ts';
import { annotationReference, annotationRows } from '../../src/kube/annotation-reference.ts';
import { parseAnnotations } from '../../src/kube/parse-annotations.ts';

/** From `dist/test/kube/`. */
const page = new URL('../../../docs/annotations.md', import.meta.url);

describe('docs/annotations.md', () => {
  it('is what the schema says; else: npm run docs', () => {
    expect(readFileSync(page, 'utf8')).to.equal(annotationReference());
  });

  it('names as default exactly what a controller without settings does', () => {
    const config = readControllerConfig([], {}, false);
    const defaults = config.ok ? config.value.ingressDefaults : expect.fail();
    const values = annotationRows().flatMap((row) => {
      const value = /^`(.*)`$/.exec(row.default)?.[1];
      return value === undefined ? [] : [[`cloudflare-warp/${row.key}`, value]];
    });
    expect(values).to.have.length.greaterThan(10);
    // Every default in force at once changes nothing, also where the settings were others.
    const others = {
      ...defaults,
      mode: 'pod',
      replicas: 9,
      haConnections: 1,
      noBackend: '503',
      dns: 'off',
    } as const;
    const origin = { ...defaults.origin, protocol: 'h2c', verifyTls: false, connectTimeoutMs: 1 } as const;
    const more = {
      keepAliveTimeoutMs: 1,
      keepAliveConnections: 1,
      http2: true,
      chunkedEncoding: false,
    } as const;
    const { settings, problems } = parseAnnotations(Object.fromEntries(values), {
      ...others,
      originVia: 'endpoints',
      origin: { ...origin, ...more },
    });
    expect({ settings, problems }).to.deep.equal({ settings: defaults, problems: [] });
  });

  it('fits into a table', () => {
    for (const row of annotationRows()) {
      expect(`${row.values}${row.default}${row.does}`, row.key).not.to.match(/[|\n]/);
      expect(row.does, row.key).to.match(/^[A-Z].*[^.]$/);
    }
  });
});
