import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { sandboxImage } from '../../src/sandbox/node/node.ts';
import { warpIngress } from '../support/command.ts';
import { ingress, service, slice } from '../support/manifests.ts';
import { startTown, type Town } from '../support/town.ts';

const threaded = 'thread.example.com';
const podded = 'pod.example.com';
const kinds = [
  ...['Ingress', 'Service', 'EndpointSlice', 'Event', 'Pod', 'Deployment', 'PodDisruptionBudget', 'Lease'],
  'ServiceAccount',
];

/** Every surface that somebody reads is read again and again through a whole life; only Secrets may hold a secret. */
describe('no secret is shown', function () {
  this.timeout(120_000);
  let town: Town;
  /** What was seen, by where. */
  const shown = new Map<string, string>();
  const secrets = new Map<string, string>();

  before(async () => {
    town = await startTown();
  });
  after(() => town.stop());

  const show = (where: string, text: string): void => void shown.set(where, (shown.get(where) ?? '') + text);

  async function learn(): Promise<void> {
    const { tunnels, accountId, token } = town.cloudflare;
    secrets.set(`API token ${token}`, token);
    for (const { name, secret } of tunnels.live(accountId)) {
      for (const form of ['base64', 'base64url', 'hex'] as const) {
        secrets.set(`secret of ${name}, ${form}`, secret.toString(form));
      }
    }
    for (const { metadata, data } of await town.user.list('Secret')) {
      const { token } = (data ?? {}) as { token?: string };
      if (token === undefined) continue;
      secrets.set(`token in ${metadata.name}, base64`, token);
      secrets.set(`token in ${metadata.name}`, Buffer.from(token, 'base64').toString());
    }
    const cert = await readFile(town.certFile, 'utf8');
    const [, content] = /-----\n([^-]+)\n-----/.exec(cert) ?? [];
    if (content === undefined) return;
    secrets.set(`content of ${content}`, content);
    const { apiToken } = JSON.parse(Buffer.from(content, 'base64').toString());
    if (typeof apiToken === 'string') secrets.set(`API token ${apiToken}`, apiToken);
  }

  /** Reads all that there is to read now; the commands, which are processes, only where it is asked for. */
  async function look(commands: readonly string[] = []): Promise<void> {
    await learn();
    for (const kind of kinds) show(kind, JSON.stringify(await town.user.list(kind)));
    for (const { metadata } of await town.user.list('Secret'))
      show('Secret metadata', JSON.stringify(metadata));
    for (const path of ['/', '/metrics', '/readyz', '/healthz']) show(path, (await town.ops(path)).body);
    for (const command of commands) {
      const outputs = shown.has(`${command} table`) ? ['json'] : ['table', 'json'];
      for (const output of outputs) {
        const { stdout, stderr } = await warpIngress([command, ...town.accessFlags, `--output=${output}`]);
        show(`${command} ${output}`, stdout + stderr);
      }
    }
  }

  const told = (reason: string) =>
    town.hastened(
      town.until(`${reason} is told`, async () => (await town.reasons('thread')).includes(reason)),
    );

  it('through creation, service, other and bad credentials, failures of the API, and deletion', async () => {
    await town.startController(`--pod-image=${sandboxImage}`, '--log-level=debug');
    const port = await town.origin('web');
    await town.user.apply(service(), slice('web-1', 'web', port), ingress('thread', threaded));
    const annotations = { 'cloudflare-warp/mode': 'pod' };
    await town.user.apply(ingress('pod', podded, { annotations }));
    await town.answers(threaded, '/', 'web');
    await town.answers(podded, '/', 'web');
    await look(['plan', 'cleanup']);

    await town.rotateCredentials();
    await look();
    const good = await readFile(town.certFile, 'utf8');
    town.cloudflare.faults.failNext({ count: 3, status: 503, matches: (method) => method !== 'GET' });
    const more = [{ host: threaded }, { host: 'more.example.com' }].map(({ host }) => ({
      host,
      http: {
        paths: [
          { path: '/', pathType: 'Prefix', backend: { service: { name: 'web', port: { number: 8080 } } } },
        ],
      },
    }));
    await town.user.apply({ ...ingress('thread', threaded), spec: { rules: more } });
    await town.hastened(town.answers('more.example.com', '/', 'web'));
    await look();

    await town.writeCert(good.replace(/\n([^-\n]{8})/, '\n$1!'));
    await told('CredentialsInvalid');
    await look(['plan', 'cleanup']);
    town.cloudflare.faults.outage = true;
    await town.writeCert(good);
    await look();
    town.cloudflare.faults.clear();

    for (const name of ['thread', 'pod']) await town.user.remove('Ingress', name);
    await look();
    await town.nothingLeft();
    await town.stopController();
    show('log', town.log.join(''));
    show('pod log', town.podLines.join('\n'));

    for (const [where, text] of shown) expect(text, `${where} was seen`).to.not.equal('');
    for (const where of ['log', 'Event', 'Pod', 'plan table', 'plan json', '/']) {
      expect(shown.get(where), where).to.include(threaded.slice(-11));
    }
    expect(secrets.size).to.be.greaterThan(12);
    for (const [what, secret] of secrets) {
      const places = [...shown].filter(([, text]) => text.includes(secret)).map(([where]) => where);
      expect(places, what.replace(secret, '…')).to.deep.equal([]);
    }
  });
});
