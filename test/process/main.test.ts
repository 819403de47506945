import { expect } from 'chai';
import { warpIngress } from '../support/command.ts';

describe('warp-ingress', () => {
  it('--help names the commands, --version the version', async () => {
    const [help, version] = await Promise.all([warpIngress(['--help']), warpIngress(['--version'])]);
    expect(help).to.include({ code: 0, stderr: '' });
    expect(help.stdout).to.contain('controller').and.contain('sandbox').and.contain('tunnel');
    expect(version.code).to.equal(0);
    expect(version.stdout).to.match(/^\d+\.\d+\.\d+\n$/);
  });

  it('COMMAND --help describes its flags, whatever else is said', async () => {
    const { code, stdout } = await warpIngress(['controller', '--nonsense', '--help']);
    expect(code).to.equal(0);
    expect(stdout).to.contain('--ingress-class NAME').and.contain('WARP_INGRESS_CLASS');
  });

  const refused: [string[], Record<string, string>, string][] = [
    [
      ['serve'],
      {},
      'warp-ingress: unknown command "serve": expected one of controller, plan, cleanup, sandbox, tunnel\n',
    ],
    [
      ['toString'],
      {},
      'warp-ingress: unknown command "toString": expected one of controller, plan, cleanup, sandbox, tunnel\n',
    ],
    [['controller', '--nope'], {}, 'warp-ingress: unknown flag --nope: --help lists those that there are\n'],
    [
      ['controller'],
      { WARP_DNS: 'maybe' },
      'warp-ingress: WARP_DNS: got "maybe", expected one of managed, off\n',
    ],
    [['plan', '--delete'], {}, 'warp-ingress: unknown flag --delete: --help lists those that there are\n'],
    [
      ['cleanup', '--output', 'yaml'],
      {},
      'warp-ingress: --output: got "yaml", expected one of table, json\n',
    ],
    [['cleanup', '--delete=yes'], {}, 'warp-ingress: --delete: got "yes", expected one of true, false\n'],
    [
      ['plan', '--kubeconfig', '/nonexistent/kubeconfig'],
      {},
      "warp-ingress: kubeconfig /nonexistent/kubeconfig cannot be read: ENOENT: no such file or directory, open '/nonexistent/kubeconfig'\n",
    ],
    [
      ['controller', '--metrics', '127.0.0.1:0'],
      { KUBECONFIG: '/nonexistent/kubeconfig' },
      "warp-ingress: kubeconfig /nonexistent/kubeconfig cannot be read: ENOENT: no such file or directory, open '/nonexistent/kubeconfig'\n",
    ],
    [
      ['controller'],
      { TUNNEL_CACERT: '/nonexistent/ca.pem' },
      "warp-ingress: --cacert (TUNNEL_CACERT): cannot be read: ENOENT: no such file or directory, open '/nonexistent/ca.pem'\n",
    ],
    [
      ['controller', '--pod-template', '/nonexistent/pod.json'],
      {},
      "warp-ingress: --pod-template (WARP_POD_TEMPLATE): cannot be read: ENOENT: no such file or directory, open '/nonexistent/pod.json'\n",
    ],
    [['sandbox', '--only', 'x'], {}, 'warp-ingress: --only: got "x", expected "world"\n'],
  ];
  for (const [argv, env, line] of refused) {
    it(`${argv.join(' ')} ${JSON.stringify(env)} exits 2 with one line`, async () => {
      expect(await warpIngress(argv, env)).to.deep.equal({ code: 2, stdout: '', stderr: line });
    });
  }

  it('without a command exits 2 and shows what there is', async () => {
    const { code, stderr } = await warpIngress([]);
    expect(code).to.equal(2);
    expect(stderr).to.contain('no command').and.contain('Usage: warp-ingress COMMAND');
  });
});
