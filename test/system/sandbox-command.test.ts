import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { eventually } from '../support/eventually.ts';
import { visit } from '../support/eyeball.ts';
import { type KubeUser, kubeUser } from '../support/kube-user.ts';

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const patienceMs = 25_000;

interface Ready {
  readonly kubeconfig: string;
  readonly kubernetes: string;
  readonly cloudflareApi: string;
  readonly edge: { readonly tunnel: string; readonly ca: string; readonly front: string };
  readonly controller: { readonly metrics: string } | null;
  readonly admin: string;
  readonly samples: readonly { readonly host: string; readonly url: string }[];
  readonly origincert: string;
}

describe('warp-ingress sandbox', () => {
  let directory: string;
  let child: ChildProcess | null = null;
  let output = '';

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sandbox-test-'));
    output = '';
  });
  afterEach(async () => {
    if (child !== null && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    await rm(directory, { recursive: true });
  });

  async function start(...flags: readonly string[]): Promise<Ready> {
    const readyFile = join(directory, 'ready.json');
    const env = { PATH: process.env.PATH };
    // A group of its own, as a shell gives it to what it runs in the foreground.
    child = spawn(process.execPath, [main, 'sandbox', '--ready-file', readyFile, ...flags], {
      env,
      detached: true,
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    await until('the ready file', () => existsSync(readyFile));
    return JSON.parse(await readFile(readyFile, 'utf8')) as Ready;
  }

  async function end(signal: NodeJS.Signals): Promise<number | null> {
    const closed = once(child!, 'close');
    child!.kill(signal);
    return (await closed)[0] as number | null;
  }

  async function until(what: string, look: () => boolean | Promise<boolean>): Promise<void> {
    const told = (): string => `the sandbox said:\n${output}`;
    const lookWhileItRuns = async (): Promise<boolean> => {
      if (await look()) return true;
      if (child?.exitCode !== null) throw new Error(`ended before: ${what}; ${told()}`);
      return false;
    };
    await eventually(what, lookWhileItRuns, { withinMs: patienceMs, everyMs: 50, told });
  }

  it('serves its sample, comes back from what it is made to suffer, and leaves nothing', async function () {
    this.timeout(60_000);
    const ready = await start();
    const host = ready.samples[0]?.host ?? '';
    const serves = async (): Promise<boolean> => (await visit(ready.edge.front, { host })).status === 200;
    expect(await serves()).to.equal(true);
    expect((await fetch(`${ready.controller?.metrics}/readyz`)).status).to.equal(200);
    await until('the words for a newcomer', () => output.includes('Try next'));
    expect(output).to.contain(`GET / from ${host}`).and.contain('| HTTP 200').and.contain(ready.kubeconfig);

    await fetch(`${ready.admin}/controller/kill`, { method: 'POST' });
    await until('the controller serves again', serves);
    const threads = (await (await fetch(`${ready.admin}/threads`)).json()) as { thread: number }[];
    const worker = threads.map(({ thread }) => thread).find((thread) => thread > 0);
    await fetch(`${ready.admin}/threads/${worker}/exit`, { method: 'POST' });
    await until('the thread is missed', () => output.includes('thread lost'));
    await until('the tunnel serves again', serves);

    const state = (await (await fetch(`${ready.admin}/state`)).json()) as { controller: { pid: number } };
    expect(await end('SIGTERM')).to.equal(0);
    expect(isAlive(state.controller.pid)).to.equal(false);
    expect(existsSync(dirname(ready.kubeconfig))).to.equal(false);
    expect(existsSync(join(directory, 'ready.json'))).to.equal(false);
    for (const url of [ready.kubernetes, ready.cloudflareApi, ready.edge.front, ready.admin]) {
      expect(await canConnect(Number(new URL(url).port)), url).to.equal(false);
    }
  });

  it('--only world leaves the controller to the user, and says how', async function () {
    this.timeout(60_000);
    const ready = await start('--only', 'world');
    expect(ready.controller).to.equal(null);
    expect(output).to.contain('controller \\\n    --kubeconfig').and.contain(`--edge ${ready.edge.tunnel}`);
    expect((await visit(ready.edge.front, { host: ready.samples[0]!.host })).status).to.equal(404);
    expect(await end('SIGINT')).to.equal(0);
  });

  for (const [title, send] of [
    ['Ctrl-C in its terminal', () => process.kill(-child!.pid!, 'SIGINT')],
    ['a SIGTERM to it alone', () => child!.kill('SIGTERM')],
  ] as const) {
    it(`ends with the pods that it runs, by ${title}`, async function () {
      this.timeout(60_000);
      const ready = await start();
      const annotations = { 'cloudflare-warp/mode': 'pod', 'cloudflare-warp/replicas': '2' };
      await (await userOf(ready)).apply({
        apiVersion: 'networking.k8s.io/v1',
        kind: 'Ingress',
        metadata: { name: 'hello', annotations },
      });
      let pods: readonly number[] = [];
      await until('two pods run', () => {
        pods = tunnelsOf(child!.pid!);
        return pods.length === 2;
      });
      try {
        const closed = once(child!, 'close');
        send();
        expect((await closed)[0]).to.equal(0);
        expect(pods.filter(isAlive)).to.deep.equal([]);
      } finally {
        for (const pid of pods.filter(isAlive)) process.kill(pid, 'SIGKILL');
      }
    });
  }

  it('refuses a port that is taken, in one line, and leaves nothing', async function () {
    this.timeout(60_000);
    const ready = await start('--only', 'world');
    const taken = new URL(ready.admin).port;
    const second = spawn(process.execPath, [main, 'sandbox', '--front-port', taken], { env: {} });
    let said = '';
    second.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const [code] = await once(second, 'close');
    expect(code).to.equal(2);
    expect(said.trimEnd().split('\n')).to.have.length(1);
    expect(said).to.contain('EADDRINUSE').and.contain('expected a free port');
    await end('SIGTERM');
  });
});

async function userOf({ kubeconfig }: Ready): Promise<KubeUser> {
  const { clusters, users, contexts } = JSON.parse(await readFile(kubeconfig, 'utf8'));
  const { server, 'certificate-authority-data': ca } = clusters[0].cluster;
  const api = { url: server, ca: Buffer.from(ca, 'base64').toString(), token: users[0].user.token };
  return kubeUser(api, contexts[0].context.namespace);
}

/** Process ids of the tunnels that a process has started itself. */
function tunnelsOf(parent: number): readonly number[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=', '-o', 'ppid=', '-o', 'args='], {
    encoding: 'utf8',
  }).split('\n');
  return lines.flatMap((line) => {
    const [, pid, ppid, args = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return Number(ppid) === parent && args.includes(' tunnel --hostname ') ? [Number(pid)] : [];
  });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
