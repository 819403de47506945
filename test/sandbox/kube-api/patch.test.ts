import { expect } from 'chai';
import type { Json, JsonObject } from '../../../src/sandbox/kube-api/json.ts';
import { jsonPatch } from '../../../src/sandbox/kube-api/patch/json-patch.ts';
import { mergePatch } from '../../../src/sandbox/kube-api/patch/merge-patch.ts';
import { strategicMerge } from '../../../src/sandbox/kube-api/patch/strategic-merge.ts';
import { structSchema } from '../../../src/sandbox/kube-api/schema/schema.ts';

describe('kube-api patches', () => {
  describe('JSON patch (RFC 6902)', () => {
    const cases: [string, Json, Json, Json | 'refused'][] = [
      ['adds a member', { a: 1 }, [{ op: 'add', path: '/b', value: 2 }], { a: 1, b: 2 }],
      ['adds before an item', { a: [1, 2] }, [{ op: 'add', path: '/a/1', value: 9 }], { a: [1, 9, 2] }],
      ['adds at the end', { a: [1] }, [{ op: 'add', path: '/a/-', value: 2 }], { a: [1, 2] }],
      ['removes an item', { a: [1, 2] }, [{ op: 'remove', path: '/a/0' }], { a: [2] }],
      ['replaces everything', { a: 1 }, [{ op: 'replace', path: '', value: { b: 1 } }], { b: 1 }],
      ['moves', { a: 1 }, [{ op: 'move', from: '/a', path: '/b' }], { b: 1 }],
      ['copies', { a: { x: 1 } }, [{ op: 'copy', from: '/a', path: '/b' }], { a: { x: 1 }, b: { x: 1 } }],
      ['unescapes names', { 'a/b~': 1 }, [{ op: 'replace', path: '/a~1b~0', value: 2 }], { 'a/b~': 2 }],
      ['goes on after a test that holds', { a: 1 }, [{ op: 'test', path: '/a', value: 1 }], { a: 1 }],
      ['stops at a test that does not', { a: 1 }, [{ op: 'test', path: '/a', value: 2 }], 'refused'],
      ['does not replace what is not there', {}, [{ op: 'replace', path: '/a', value: 2 }], 'refused'],
      ['does not add below what is not there', {}, [{ op: 'add', path: '/a/b', value: 2 }], 'refused'],
      ['does not add past the end', { a: [1] }, [{ op: 'add', path: '/a/2', value: 2 }], 'refused'],
      ['does not follow prototypes', {}, [{ op: 'copy', from: '/constructor', path: '/a' }], 'refused'],
      ['knows no other operations', {}, [{ op: 'increment', path: '/a' }], 'refused'],
    ];
    for (const [name, before, patch, after] of cases) {
      it(name, () => {
        if (after === 'refused') expect(() => jsonPatch(before, patch)).to.throw();
        else expect(jsonPatch(before, patch)).to.deep.equal(after);
      });
    }
  });

  describe('merge patch (RFC 7386)', () => {
    const cases: [string, Json, Json, Json][] = [
      ['replaces values', { a: 'b' }, { a: 'c' }, { a: 'c' }],
      ['removes by null', { a: 'b', c: 1 }, { a: null }, { c: 1 }],
      ['replaces lists as a whole', { a: [1, 2] }, { a: [3] }, { a: [3] }],
      ['merges objects', { a: { b: 1, c: 2 } }, { a: { b: null, d: 3 } }, { a: { c: 2, d: 3 } }],
      ['drops nulls of new objects', {}, { a: { b: null, c: 1 } }, { a: { c: 1 } }],
    ];
    for (const [name, before, patch, after] of cases) {
      it(name, () => expect(mergePatch(before, patch)).to.deep.equal(after));
    }
  });

  describe('strategic merge patch', () => {
    const service = (...ports: Json[]): JsonObject => ({ spec: { ports } });
    const http = { port: 80, name: 'http' };
    const https = { port: 443, name: 'https' };
    const cases: [string, string, JsonObject, JsonObject, JsonObject][] = [
      [
        'merges ports by port',
        'V1Service',
        service(http, https),
        service({ port: 80, targetPort: 8080 }),
        service({ ...http, targetPort: 8080 }, https),
      ],
      [
        'puts new items first when no order is said',
        'V1Service',
        service(http),
        service(https),
        service(https, http),
      ],
      [
        'sorts as the patch says',
        'V1Service',
        service(http, https),
        {
          spec: {
            '$setElementOrder/ports': [{ port: 443 }, { port: 80 }],
            ports: [{ port: 443, targetPort: 1 }],
          },
        },
        service({ ...https, targetPort: 1 }, http),
      ],
      [
        'deletes an item',
        'V1Service',
        service(http, https),
        service({ port: 80, $patch: 'delete' }),
        service(https),
      ],
      ['replaces a list', 'V1Service', service(http), service(https, { $patch: 'replace' }), service(https)],
      [
        'replaces Ingress rules, which are atomic',
        'V1Ingress',
        { spec: { rules: [{ host: 'a' }, { host: 'b' }] } },
        { spec: { rules: [{ host: 'c' }] } },
        { spec: { rules: [{ host: 'c' }] } },
      ],
      [
        'adds finalizers to those that are there',
        'V1Ingress',
        { metadata: { finalizers: ['a'] } },
        { metadata: { finalizers: ['b', 'a'] } },
        { metadata: { finalizers: ['b', 'a'] } },
      ],
      [
        'takes a finalizer off',
        'V1Ingress',
        { metadata: { finalizers: ['a', 'b'] } },
        { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'] } },
        { metadata: { finalizers: ['b'] } },
      ],
      [
        'keeps only the retained keys of a strategy',
        'V1Deployment',
        { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } } },
        { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } },
        { spec: { strategy: { type: 'Recreate' } } },
      ],
      [
        'merges containers and their variables by name',
        'V1Deployment',
        {
          spec: {
            template: {
              spec: { containers: [{ name: 'c', image: 'a:1', env: [{ name: 'X', value: '1' }] }] },
            },
          },
        },
        {
          spec: {
            template: {
              spec: { containers: [{ name: 'c', image: 'a:2', env: [{ name: 'X', value: '2' }] }] },
            },
          },
        },
        {
          spec: {
            template: {
              spec: { containers: [{ name: 'c', image: 'a:2', env: [{ name: 'X', value: '2' }] }] },
            },
          },
        },
      ],
      [
        'removes labels by null',
        'V1Ingress',
        { metadata: { labels: { a: '1', b: '2' } } },
        { metadata: { labels: { a: null } } },
        { metadata: { labels: { b: '2' } } },
      ],
    ];
    for (const [name, model, before, patch, after] of cases) {
      it(name, () => expect(strategicMerge(before, patch, structSchema(model))).to.deep.equal(after));
    }

    it('refuses an item without its key', () => {
      const patch = { spec: { template: { spec: { containers: [{ image: 'x' }] } } } };
      expect(() => strategicMerge({}, patch, structSchema('V1Deployment'))).not.to.throw();
      const before = { spec: { template: { spec: { containers: [{ name: 'c' }] } } } };
      expect(() => strategicMerge(before, patch, structSchema('V1Deployment'))).to.throw(
        'does not contain declared merge key: name',
      );
    });
  });
});
