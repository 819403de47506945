import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { brokenRules } from './support/house-rules.ts';

/** From `dist/test/` to the sources. */
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Kept in two pieces, or this file would break the rules that it invents breaches of. */
function lazily(path: string): string {
  return `${'import'}('${path}')`;
}

function sources(): Map<string, string> {
  const files = new Map<string, string>();
  for (const folder of ['src', 'workers', 'test', 'bench', 'fuzz', 'chaos']) {
    let entries: string[] = [];
    try {
      entries = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
    } catch {
      continue;
    }
    for (const entry of entries) {
      if (!entry.endsWith('.ts')) continue;
      const path = join(root, folder, entry);
      files.set(relative(root, path).split(sep).join('/'), readFileSync(path, 'utf8'));
    }
  }
  return files;
}

describe('architecture', () => {
  it('holds: every file keeps to its room and to the house rules', () => {
    const files = sources();
    expect([...files.keys()]).to.include.members([
      'src/fault.ts',
      'src/kernel/actor.ts',
      'test/architecture.test.ts',
    ]);
    expect(brokenRules(files).join('\n')).to.equal('');
  });

  describe('would not hold with', () => {
    const invented: [title: string, path: string, source: string, sentence: string][] = [
      [
        'a leaf that does I/O',
        'src/domain/a.ts',
        `import { readFile } from 'node:fs/promises';`,
        "src/domain/a.ts imports node:fs/promises: of Node's modules src/domain/ uses node:crypto",
      ],
      [
        'a leaf that uses a package',
        'src/domain/a.ts',
        `import { z } from 'zod';`,
        'src/domain/a.ts imports zod: src/domain/ uses no package',
      ],
      [
        'a kernel that knows what it runs',
        'src/kernel/a.ts',
        `import type { IngressSpec } from '../domain/ingress.ts';`,
        'src/kernel/a.ts imports src/domain/ingress.ts: src/kernel/ sees src/time/, src/fault.ts',
      ],
      [
        'an actor that knows an adapter',
        'src/actors/a.ts',
        `import {\n  watch,\n  type World,\n} from '../kube/watch.ts';`,
        'src/actors/a.ts imports src/kube/watch.ts: src/actors/ sees src/kernel/, src/domain/, src/time/, src/fault.ts',
      ],
      [
        'an adapter that takes more than types from the ports',
        'src/kube/a.ts',
        `import { nothing } from '../actors/ports.ts';`,
        '(of this file only types)',
      ],
      [
        'an adapter that knows another',
        'src/kube/a.ts',
        `import type { Zone } from '../cloudflare/zones.ts';`,
        'src/kube/a.ts imports src/cloudflare/zones.ts: src/kube/ sees',
      ],
      [
        'a connector that knows an actor',
        'src/tunnel/origin/a.ts',
        `import type { TunnelState } from '../../actors/ports.ts';`,
        'src/tunnel/origin/a.ts imports src/actors/ports.ts: src/tunnel/ sees',
      ],
      [
        'a worker that reads the configuration',
        'workers/a.ts',
        `import { config } from '../src/config.ts';`,
        'workers/a.ts imports src/config.ts: workers/ sees',
      ],
      [
        'a controller that asks for the sandbox',
        'src/controller.ts',
        `const sandbox = await ${lazily('./sandbox/main.ts')};`,
        'src/controller.ts imports src/sandbox/main.ts: src/ sees',
      ],
      [
        'a sandbox that borrows from the connector',
        'src/sandbox/edge/a.ts',
        `import { Session } from '../../tunnel/http2/server/session.ts';`,
        'src/sandbox/edge/a.ts imports src/tunnel/http2/server/session.ts: src/sandbox/ sees',
      ],
      [
        'what ships using a test tool',
        'src/time/a.ts',
        `import { ManualClock } from '../../test/support/manual-clock.ts';`,
        'src/time/a.ts imports test/support/manual-clock.ts: src/time/ sees no other room',
      ],
      [
        'a second door to a package',
        'src/kube/a.ts',
        `import type { Logger } from 'pino';`,
        "src/kube/a.ts imports pino: one door per package, and this one's is src/log.ts",
      ],
      [
        'a barrel file',
        'src/kube/a.ts',
        `export * from './b.ts';`,
        'src/kube/a.ts imports src/kube/b.ts: no barrel files',
      ],
      [
        'a vague name',
        'src/kube/utils.ts',
        '',
        "src/kube/utils.ts: a file's name says what its one thing is",
      ],
      ['a file that is too long', 'src/kube/a.ts', '\n'.repeat(501), 'src/kube/a.ts: 501 lines'],
      [
        'a Manager',
        'src/kube/a.ts',
        `export class Watch${'Manager'} {}`,
        'no class is named Manager, Helper or Base',
      ],
      ['a file outside every room', 'scripts/a.ts', `import './b.ts';`, 'scripts/a.ts: belongs to no room'],
    ];
    for (const [title, path, source, sentence] of invented) {
      it(title, () => {
        expect(brokenRules(new Map([[path, source]])).join('\n')).to.contain(sentence);
      });
    }

    it('a cycle', () => {
      const files = new Map([
        ['src/kube/a.ts', `import { b } from './b.ts';`],
        ['src/kube/b.ts', `import type { C } from './c.ts';`],
        ['src/kube/c.ts', `import { a } from './a.ts';`],
      ]);
      expect(brokenRules(files)).to.deep.equal([
        'src/kube/a.ts → src/kube/b.ts → src/kube/c.ts → src/kube/a.ts: no cycles',
      ]);
    });
  });

  it('lets the process load the sandbox, and only that way', () => {
    const lazy = `await ${lazily('./sandbox/main.ts')};`;
    expect(brokenRules(new Map([['src/main.ts', lazy]]))).to.deep.equal([]);
    const eager = `import { runSandbox } from './sandbox/main.ts';`;
    expect(brokenRules(new Map([['src/main.ts', eager]]))).to.have.length(1);
  });

  it('is not misled by imports in comments', () => {
    const source = `/**\n * import { a } from '../kube/a.ts';\n */\n// await ${lazily('../kube/a.ts')}\n`;
    expect(brokenRules(new Map([['src/domain/a.ts', source]]))).to.deep.equal([]);
  });
});
