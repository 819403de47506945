import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Edge } from '../../src/sandbox/edge/edge.ts';

/** Where the real cloudflared is; undefined leaves out what needs it. */
export const cloudflaredPath = process.env.CLOUDFLARED;

export interface CloudflaredTunnel {
  readonly edge: Edge;
  readonly accountTag: string;
  readonly tunnelId: string;
  readonly tunnelSecret: Uint8Array;
  /** Of the origin. */
  readonly url: string;
}

/** The real cloudflared with two connections to a sandbox edge. Owns its process and its home. */
export class RealCloudflared {
  readonly child: ChildProcess;
  /** What it has said. */
  log = '';
  readonly #home: string;

  private constructor(home: string, child: ChildProcess) {
    this.#home = home;
    this.child = child;
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.log += text;
    });
  }

  static async start({
    edge,
    accountTag,
    tunnelId,
    tunnelSecret,
    url,
  }: CloudflaredTunnel): Promise<RealCloudflared> {
    const home = await mkdtemp(join(tmpdir(), 'cloudflared-'));
    await writeFile(join(home, 'ca.pem'), edge.caPem);
    const content = { a: accountTag, t: tunnelId, s: Buffer.from(tunnelSecret).toString('base64') };
    const token = Buffer.from(JSON.stringify(content)).toString('base64');
    const words = [
      ...['tunnel', '--no-autoupdate', '--no-prechecks', '--protocol', 'http2', '--metrics', '127.0.0.1:0'],
      ...['--edge', edge.tunnelAddress, '--edge', edge.tunnelAddress],
      ...['--cacert', join(home, 'ca.pem'), 'run', '--url', url],
    ];
    return new RealCloudflared(
      home,
      spawn(cloudflaredPath!, words, { env: { HOME: home, TUNNEL_TOKEN: token } }),
    );
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGKILL');
      await once(this.child, 'close');
    }
    await rm(this.#home, { recursive: true });
  }
}
