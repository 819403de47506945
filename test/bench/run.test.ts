import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { eventually } from '../support/eventually.ts';

const main = fileURLToPath(new URL('../../bench/main.js', import.meta.url));

/** Says that the bench works; how fast anything is, no test says. */
describe('npm run bench', function () {
  this.timeout(60_000);
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'warp-ingress-test-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** The bench's own files go into `folder` too. */
  function start(...argv: string[]) {
    const child = spawn(process.execPath, [main, ...argv], { env: { ...process.env, TMPDIR: folder } });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    return { child, output: () => output };
  }

  it('carries every kind of load to the end, writes the rows, leaves nothing', async () => {
    const names = [
      ...['get-128b-c50-ha4', 'get-64k-c50-http2', 'post-1m-c8'],
      ...['websocket-idle-1000', 'hosted-64k-c50'],
    ];
    const json = join(folder, 'rows.json');
    const { child, output } = start(
      ...['--rounds', '1', '--window', '100', '--relay', '--json', json],
      ...names.flatMap((name) => ['--case', name]),
    );
    const [code] = await once(child, 'close');
    expect(code, output()).to.equal(0);
    const rows = JSON.parse(await readFile(json, 'utf8')) as Record<string, unknown>[];
    expect(rows.map((row) => [row.case, row.connector])).to.have.deep.members(
      names.flatMap((name) => [
        ...(name.endsWith('-http2') ? [] : [[name, 'direct']]),
        [name, 'warp-ingress'],
        ...(/^(get|post)-(?!.*-http2$)/.test(name) ? [[name, 'relay']] : []),
      ]),
    );
    for (const row of rows) {
      expect(row.requests_per_second, JSON.stringify(row)).to.be.above(0);
      expect(Object.keys(row)).to.deep.equal([
        'case',
        'connector',
        'requests_per_second',
        'p50_us',
        'p99_us',
        'cpu_us_per_request',
        'rss_mib',
        'ratio_to_cloudflared',
      ]);
    }
    expect(await readdir(folder)).to.deep.equal(['rows.json']);
  });

  it('gives each process of a connector its round', async () => {
    const { child, output } = start('--case', 'get-128b-c1', '--rounds', '2', '--window', '50');
    const [code] = await once(child, 'close');
    expect(code, output()).to.equal(0);
    expect(output()).to.match(/2 rounds of 50 ms over 2 processes/);
    expect(output()).to.match(/each process of warp-ingress: \d+\.\d, \d+\.\d\n/);
  });

  it('ends all it started when it is interrupted', async () => {
    const { child, output } = start('--case', 'get-128b-c1', '--window', '60000');
    const isUp = () =>
      readdirSync(folder, { recursive: true }).some((path) => String(path).endsWith('token'));
    await eventually('the connector is started', isUp);
    child.kill('SIGINT');
    const [code] = await once(child, 'close');
    // "close" comes only when the last process that writes to the same output is gone.
    expect(code).to.equal(1);
    expect(output()).to.contain('ended by SIGINT');
    expect(await readdir(folder)).to.deep.equal([]);
  });

  const refused: [title: string, argv: string[], sentence: string][] = [
    ['a case that it does not know', ['--case', 'nonsense'], '--case: unknown "nonsense": see --help'],
    [
      'more processes than there are rounds for',
      ['--rounds', '2', '--processes', '3'],
      '--processes: got "3", expected 1 to 2',
    ],
  ];
  for (const [title, argv, sentence] of refused) {
    it(`refuses ${title}, with one line`, async () => {
      const { child, output } = start(...argv);
      const [code] = await once(child, 'close');
      expect(code).to.equal(2);
      expect(output()).to.equal(`bench: ${sentence}\n`);
    });
  }
});
