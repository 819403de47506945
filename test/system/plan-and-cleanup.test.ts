import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { hostHash, tunnelName } from '../../src/domain/host.ts';
import { ledgerSecretName } from '../../src/kube/ledger-secret.ts';
import { type Ended, warpIngress } from '../support/command.ts';
import { ingress, service, slice } from '../support/manifests.ts';
import { bundledProgram } from '../support/program.ts';
import { startTown, type Town } from '../support/town.ts';

interface Plan {
  readonly changes: readonly { readonly action: string; readonly kind: string; readonly name: string }[];
  readonly hosts: readonly { readonly host: string; readonly state: string }[];
  readonly notes: readonly { readonly ingress: string; readonly reason: string; readonly message: string }[];
}

interface Cleanup {
  readonly leftovers: readonly { readonly kind: string; readonly name: string; readonly removed: boolean }[];
  readonly leftAlone: readonly { readonly name: string; readonly why: string }[];
}

const host = 'app.example.com';

describe('warp-ingress plan and cleanup', function () {
  this.timeout(120_000);
  let town: Town;
  beforeEach(async () => {
    town = await startTown();
  });
  afterEach(() => town.stop());

  const run = (command: string, ...flags: readonly string[]): Promise<Ended> =>
    warpIngress([command, ...town.accessFlags, '--identity=me', ...flags]);

  async function json<T>(expectedCode: number, command: string, ...flags: readonly string[]): Promise<T> {
    const { code, stdout, stderr } = await run(command, '--output=json', ...flags);
    expect(code, stderr).to.equal(expectedCode);
    return JSON.parse(stdout) as T;
  }

  const summary = ({ changes }: Plan): string[] =>
    changes.map(({ action, kind, name }) => `${action} ${kind} ${name}`);

  async function applyWeb(): Promise<void> {
    const port = await town.origin('web');
    await town.user.apply(service(), slice('web-1', 'web', port), ingress('web', host));
  }

  it('plan says what the controller then does, and then that nothing is left to do', async () => {
    await applyWeb();
    const before = await json<Plan>(2, 'plan');
    expect(summary(before)).to.deep.equal([
      `create tunnel ${tunnelName('me', host)}`,
      `create CNAME ${host}`,
      `create TXT _cloudflare-warp.${host}`,
    ]);
    expect(before.hosts.map(({ state }) => state)).to.deep.equal(['planned']);
    expect(
      town.cloudflare.calls.filter(({ method }) => method !== 'GET'),
      'plan writes nothing',
    ).to.deep.equal([]);
    expect(await town.user.list('Secret')).to.deep.equal([]);

    await town.startController('--identity=me');
    await town.answers(host, '/', 'web');
    const serving = await json<Plan>(0, 'plan');
    expect(serving.changes).to.deep.equal([]);
    expect(serving.hosts.map(({ state }) => state)).to.deep.equal(['served']);

    await town.stopController();
    await town.user.remove('Ingress', 'web');
    expect(summary(await json<Plan>(2, 'plan'))).to.deep.equal([
      `delete CNAME ${host}`,
      `delete TXT _cloudflare-warp.${host}`,
      `delete tunnel ${tunnelName('me', host)}`,
    ]);
  });

  it('plan says why an Ingress is not served, also in a table', async () => {
    const [zone] = town.cloudflare.zones.zones;
    const theirs = { type: 'A', name: 'taken.example.com', content: '192.0.2.1', proxied: false, ttl: 1 };
    town.cloudflare.zones.put(zone!, { ...theirs, comment: null, tags: [] });
    await town.user.apply(
      ingress('conflict', 'taken.example.com'),
      ingress('nowhere', 'app.example.net'),
      ingress('bad', 'bad.example.com', { annotations: { 'cloudflare-warp/dns': 'maybe' } }),
    );
    const { notes, hosts } = await json<Plan>(2, 'plan');
    expect(notes.map((note) => `${note.ingress} ${note.reason}`)).to.have.members([
      'bad InvalidIngress',
      'conflict DnsConflict',
      'conflict WaitingForService',
      'nowhere ZoneUnknown',
      'nowhere WaitingForService',
    ]);
    expect(hosts.map(({ state }) => state)).to.deep.equal(['blocked', 'blocked']);
    const { code, stdout } = await run('plan');
    expect(code).to.equal(2);
    expect(stdout).to.match(/^INGRESS {3,}WHY NOT {3,}MESSAGE$/m);
    expect(stdout).to.match(/^conflict {2,}DnsConflict {2,}taken\.example\.com has .*A 192\.0\.2\.1/m);
  });

  it('plan answers by its exit code also where nobody reads on, as with "| head"', async () => {
    await applyWeb();
    const argv = [bundledProgram(), 'plan', ...town.accessFlags, '--identity=me'];
    const plan = spawn(process.execPath, argv, { env: {}, stdio: ['ignore', 'pipe', 'pipe'] });
    const closed = once(plan, 'close');
    plan.stdout.destroy();
    expect(await text(plan.stderr)).to.equal('');
    expect(await closed).to.deep.equal([2, null]);
  });

  it('plan tells of drift: what somebody changed at Cloudflare', async () => {
    await applyWeb();
    await town.startController('--identity=me');
    await town.answers(host, '/', 'web');
    await town.stopController();
    const [zone] = town.cloudflare.zones.zones;
    for (const record of zone!.records.values()) if (record.type === 'CNAME') zone!.records.delete(record.id);
    expect(summary(await json<Plan>(2, 'plan'))).to.deep.equal([
      `create CNAME ${host}`,
      `change TXT _cloudflare-warp.${host}`,
    ]);
  });

  it('an error is 1 and one line on stderr', async () => {
    town.cloudflare.faults.outage = true;
    for (const { code, stdout, stderr } of await Promise.all(['plan', 'cleanup'].map((each) => run(each)))) {
      expect([code, stdout]).to.deep.equal([1, '']);
      expect(stderr).to.match(/^warp-ingress: .*Cloudflare's API.*\n$/);
    }
  });

  it('cleanup finds nothing while the ledger knows, then all, and removes just that with --delete', async () => {
    await applyWeb();
    await town.startController('--identity=me');
    await town.answers(host, '/', 'web');
    await town.stopController();
    const { accountId, tunnels, zones } = town.cloudflare;
    tunnels.create({ accountId, name: 'made-by-hand', secret: null, configSrc: 'local' });
    tunnels.create({ accountId, name: tunnelName('me-too', host), secret: null, configSrc: 'local' });
    const foreign = {
      type: 'TXT',
      name: host,
      content: '"spf"',
      proxied: false,
      ttl: 1,
      comment: null,
      tags: [],
    };
    zones.put(zones.zones[0]!, foreign);
    expect((await json<Cleanup>(0, 'cleanup')).leftovers).to.deep.equal([]);

    // A namespace that was removed with all that was in it.
    await town.user.remove('Ingress', 'web');
    for (const { metadata } of await town.user.list('Secret'))
      await town.user.remove('Secret', metadata.name);
    const listed = await json<Cleanup>(2, 'cleanup');
    expect(listed.leftovers.map(({ kind, name, removed }) => `${kind} ${name} ${removed}`)).to.deep.equal([
      `CNAME ${host} false`,
      `TXT _cloudflare-warp.${host} false`,
      `tunnel ${tunnelName('me', host)} false`,
    ]);
    expect(town.hosts()).to.deep.equal([host]);
    expect((await run('cleanup')).stdout).to.contain('Left over of the identity me; --delete removes it\n');

    const removed = await json<Cleanup>(0, 'cleanup', '--delete');
    expect(removed.leftovers.every((leftover) => leftover.removed)).to.equal(true);
    const writes = town.cloudflare.calls.filter(({ method }) => method !== 'GET').slice(-2);
    expect(writes.map(({ path }) => /dns_records|cfd_tunnel/.exec(path)?.[0])).to.deep.equal([
      'dns_records',
      'cfd_tunnel',
    ]);
    expect(tunnels.live(accountId).map(({ name }) => name)).to.have.members([
      'made-by-hand',
      tunnelName('me-too', host),
    ]);
    expect([...zones.zones[0]!.records.values()].map(({ content }) => content)).to.deep.equal(['"spf"']);
    expect((await json<Cleanup>(0, 'cleanup', '--delete')).leftovers).to.deep.equal([]);
  });

  it('cleanup calls nothing left over while a ledger cannot be read, or may be another install’s', async () => {
    const { accountId, tunnels } = town.cloudflare;
    tunnels.create({ accountId, name: tunnelName('me-too', host), secret: null, configSrc: 'local' });
    const unclear = await json<Cleanup>(0, 'cleanup', '--delete');
    expect(unclear.leftovers).to.deep.equal([]);
    expect(unclear.leftAlone.map(({ why }) => why)).to.deep.equal([
      `it may be of the identity "me-too" for ${host}, and no owner mark tells`,
    ]);
    expect((await run('cleanup')).stdout).to.contain(
      'Nothing that may be removed is left over of the identity me.',
    );

    tunnels.create({ accountId, name: tunnelName('me', host), secret: null, configSrc: 'local' });
    const name = ledgerSecretName(host);
    const labels = { 'cloudflare-warp/host-hash': hostHash(host) };
    await town.user.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name, labels }, data: {} });
    const { code, stderr } = await run('cleanup', '--delete');
    expect(code).to.equal(1);
    expect(stderr).to.include(`Secret ${name}`);
    expect(tunnels.live(accountId)).to.have.length(2);
  });
});
