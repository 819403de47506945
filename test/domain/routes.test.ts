import { expect } from 'chai';
import { hostMatches, matchRoute, type Route, sortedRoutes } from '../../src/domain/routes.ts';

/** `exact /foo` → a route whose answer names it. */
function routes(...texts: string[]): readonly Route[] {
  return sortedRoutes(
    texts.map((text, index): Route => {
      const [match, path] = text.split(' ') as ['exact' | 'prefix', string];
      return { match, path, target: { kind: 'status', status: 200 + index } };
    }),
  );
}

function answerOf(table: readonly Route[], path: string): string {
  const route = matchRoute({ host: 'example.com', routes: table, access: null }, path);
  return route === null ? '404' : `${route.match} ${route.path}`;
}

/** The path cases of the public ingress conformance suite (findings page). */
const cases: readonly [rules: string[], path: string, answer: string][] = [
  [['exact /foo'], '/foo', 'exact /foo'],
  [['exact /foo'], '/foo/', '404'],
  [['exact /foo'], '/FOO', '404'],
  [['exact /foo'], '/bar', '404'],
  [['exact /foo/'], '/foo', '404'],
  [['prefix /foo'], '/foo', 'prefix /foo'],
  [['prefix /foo'], '/foo/', 'prefix /foo'],
  [['prefix /foo'], '/FOO', '404'],
  [['prefix /foo'], '/foobar', '404'],
  [['prefix /foo', 'prefix /aaa/bbb', 'prefix /aaa'], '/aaa/bbb', 'prefix /aaa/bbb'],
  [['prefix /foo', 'prefix /aaa', 'prefix /aaa/bbb'], '/aaa/bbb/ccc', 'prefix /aaa/bbb'],
  [['prefix /foo', 'prefix /aaa/bbb', 'prefix /aaa'], '/aaa/ccc', 'prefix /aaa'],
  [['prefix /foo', 'prefix /aaa/bbb', 'prefix /aaa'], '/aaaccc', '404'],
  [['prefix /foo', 'exact /foo'], '/foo', 'exact /foo'],
  [['prefix /foo', 'exact /foo'], '/foo/x', 'prefix /foo'],
  [['prefix /foo/', 'exact /foo'], '/foo', 'exact /foo'],
  [['prefix /aaa/bbb/'], '/aaa/bbb', 'prefix /aaa/bbb/'],
  [['prefix /aaa/bbb/'], '/aaa/bbb/', 'prefix /aaa/bbb/'],
  [['prefix /'], '/anything', 'prefix /'],
  [['prefix /', 'prefix /a'], '/', 'prefix /'],
  [['exact /'], '/', 'exact /'],
  [['exact /'], '/x', '404'],
];

describe('routes: paths', () => {
  for (const [rules, path, answer] of cases) {
    it(`${rules.join(', ')}: ${path} → ${answer}`, () => {
      expect(answerOf(routes(...rules), path)).to.equal(answer);
    });
  }
});

describe('routes: hosts', () => {
  const hosts: readonly [pattern: string, host: string, matches: boolean][] = [
    ['foo.bar.com', 'foo.bar.com', true],
    ['foo.bar.com', 'bar.com', false],
    ['*.foo.com', 'bar.foo.com', true],
    ['*.foo.com', 'baz.bar.foo.com', false],
    ['*.foo.com', 'foo.com', false],
    ['*.foo.com', '.foo.com', false],
    ['*.foo.com', 'xfoo.com', false],
  ];
  for (const [pattern, host, matches] of hosts) {
    it(`${pattern} ${matches ? 'takes' : 'refuses'} ${host}`, () => {
      expect(hostMatches(pattern, host)).to.equal(matches);
    });
  }
});
