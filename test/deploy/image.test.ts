import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { startWorld, type World } from '../../src/sandbox/world.ts';
import { eventually } from '../support/eventually.ts';
import { kubeUser } from '../support/kube-user.ts';
import { ingress, service, slice } from '../support/manifests.ts';

const run = promisify(execFile);
const dockerfile = readFileSync('Dockerfile', 'utf8');

function everyFile(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((file) => join(folder, file))
    .filter((path) => statSync(path).isFile());
}

describe('the image', function () {
  this.timeout(120_000);
  const root = mkdtempSync(join(tmpdir(), 'image-'));
  const app = join(root, 'app');
  const entrypoint = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(dockerfile)?.[1] ?? '[]') as string[];
  /** As in the cluster: not root, where the tests may choose. */
  const user = process.getuid?.() === 0 ? { uid: 65532, gid: 65532 } : {};
  let world: World;

  before(async () => {
    await run(process.execPath, ['scripts/image.mjs', app]);
    chmodSync(root, 0o755);
    for (const path of everyFile(app)) chmodSync(path, 0o444);
    world = await startWorld();
  });
  after(async () => {
    await world.stop();
    rmSync(root, { recursive: true, force: true });
  });

  const warpIngress = (...args: string[]) =>
    run(process.execPath, [...entrypoint.slice(1), ...args], { cwd: app, ...user }).then(
      ({ stdout }) => ({ code: 0, text: stdout }),
      ({ code, stderr }: { code: number; stderr: string }) => ({ code, text: stderr }),
    );

  it('is written to no folder that has something in it, and to none that is a flag', async () => {
    const written = readdirSync(app);
    for (const [args, complaint] of [
      [[app], 'empty or not there yet'],
      [['--help'], "Unknown option '--help'"],
      [[], 'expected one argument'],
    ] as const) {
      const error = await run(process.execPath, ['scripts/image.mjs', ...args]).catch(
        (reason: Error) => reason,
      );
      expect(String(error)).to.contain(complaint);
    }
    expect(readdirSync(app)).to.deep.equal(written);
  });

  it('runs as a user that is a number, and not root', () => {
    expect(/^USER (\d+):\d+$/m.exec(dockerfile)?.[1]).to.equal('65532');
  });

  it('knows its version', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(await warpIngress('--version')).to.deep.equal({ code: 0, text: `${version}\n` });
  });

  it('has no sandbox, and says so', async () => {
    const { code, text } = await warpIngress('sandbox');
    expect(code).to.not.equal(0);
    expect(text).to.contain('this build has no sandbox');
  });

  it('carries no test, no sandbox and no development dependency', () => {
    const { components } = JSON.parse(readFileSync(join(app, 'sbom.cdx.json'), 'utf8'));
    const { devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
    const carried = components.map(({ name }: { name: string }) => name);
    expect(carried).to.include.members(['piscina', 'cloudflare', 'pino']);
    // js-yaml is also what the Kubernetes client reads a kubeconfig with.
    const needed = new Set(['js-yaml']);
    expect(
      Object.keys(devDependencies).filter((name) => carried.includes(name) && !needed.has(name)),
    ).to.deep.equal([]);
    const code = everyFile(join(app, 'dist')).map((path) => readFileSync(path, 'utf8'));
    expect(code.filter((text) => /startKubeApi|\/\/ src\/sandbox\//.test(text))).to.deep.equal([]);
  });

  it('gives a worker thread no more than it needs', () => {
    const closure = new Set<string>();
    const visit = (path: string): void => {
      if (closure.has(path)) return;
      closure.add(path);
      const imports = readFileSync(path, 'utf8').matchAll(/^(?:import|export)\s[^;]*?"(\.[^"]+)";/gm);
      for (const [, next = ''] of imports) visit(join(path, '..', next));
    };
    visit(join(app, 'dist/workers/tunnel-thread.js'));
    expect(closure.size).to.be.greaterThan(1);
    const loaded = [...closure].map((path) => readFileSync(path, 'utf8')).join('');
    for (const name of ['@kubernetes/client-node', 'cloudflare', 'zod', 'undici']) {
      expect(loaded).to.not.contain(`// node_modules/${name}/`);
    }
  });

  it('serves from a folder that nobody can write to, and ends by itself on SIGTERM', async () => {
    const { files, edge, cloudflare, kubernetes, origin } = world;
    // Whoever runs it may read what is mounted for it.
    const [kubeconfig, cert, ca] = [files.kubeconfig, files.originCert, files.edgeCa].map((path, index) => {
      const mounted = join(root, `mounted-${index}`);
      writeFileSync(mounted, readFileSync(path), { mode: 0o444 });
      return mounted;
    });
    await kubeUser(kubernetes, world.namespace).apply(
      service(),
      slice('web-1', 'web', origin.port),
      ingress('web', 'image.example.com'),
    );
    const flags = ['controller', `--kubeconfig=${kubeconfig}`, `--origincert=${cert}`, `--cacert=${ca}`];
    const child = spawn(
      process.execPath,
      [
        ...entrypoint.slice(1),
        ...flags,
        `--api-url=${cloudflare.url}`,
        `--edge=${edge.tunnelAddress}`,
        '--metrics=127.0.0.1:0',
      ],
      { cwd: app, env: { NODE_ENV: 'production' }, stdio: ['ignore', 'pipe', 'inherit'], ...user },
    );
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    try {
      let log = '';
      child.stdout.on('data', (chunk) => {
        log += chunk;
      });
      const serves = async () => (await statusOf(edge.frontUrl, 'image.example.com')) === 200;
      await eventually('the host answers 200', serves, { withinMs: 40_000, everyMs: 200, told: () => log });
    } finally {
      child.kill('SIGTERM');
    }
    expect(await ended).to.equal(0);
  });
});

function statusOf(url: string, host: string): Promise<number> {
  return new Promise((resolve) => {
    get(url, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    }).on('error', () => resolve(0));
  });
}
