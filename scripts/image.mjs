// Writes what the image carries into a folder: `node scripts/image.mjs FOLDER`. The program is bundled, because the SDKs
// that it uses a little of are 150 MB on disk and take most of a second to load. What a worker thread loads stays a file
// of its own. Neither minified nor mapped: a stack trace names our functions as they are, and no map is kept in memory.
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** It finds its own worker beside its own file, and is small. */
const kept = 'piscina';

const { positionals } = parseArgs({ allowPositionals: true });
const [target] = positionals.map((folder) => resolve(folder));
if (target === undefined || positionals.length > 1)
  throw new Error('expected one argument: the folder to write');
mkdirSync(target, { recursive: true });
if (readdirSync(target).length > 0)
  throw new Error(`${target}: expected a folder that is empty or not there yet`);

/** The sandbox is for development; `warp-ingress sandbox` says that it is not there. */
const withoutSandbox = {
  name: 'without-sandbox',
  setup: ({ onResolve }) =>
    onResolve({ filter: /\/sandbox\/main\.ts$/ }, () => ({ path: './sandbox/main.js', external: true })),
};

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: ['src/main.ts', 'workers/tunnel-thread.ts'],
  outbase: '.',
  outdir: join(target, 'dist'),
  // As deep as the modules in `src`, so that what they find beside themselves is where it was.
  chunkNames: 'src/chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  external: [kept],
  plugins: [withoutSandbox],
  // For the packages in it that are CommonJS.
  banner: {
    js: "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);",
  },
  // Every package's licence is in one file.
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
});

cpSync(join(root, 'node_modules', kept, 'dist'), join(target, 'node_modules', kept, 'dist'), {
  recursive: true,
  filter: (path) => !/\.(map|ts)$/.test(path),
});
cpSync(join(root, 'node_modules', kept, 'package.json'), join(target, 'node_modules', kept, 'package.json'));

const { name, version, license, type } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
writeJson('package.json', { name, version, license, type, private: true });
cpSync(join(root, 'LICENSE'), join(target, 'LICENSE'));

const packages = [
  ...new Set([...Object.keys(metafile.inputs).flatMap(packageFolder), `node_modules/${kept}`]),
]
  .sort()
  .map((path) => ({ path, ...JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')) }));
writeJson('sbom.cdx.json', {
  bomFormat: 'CycloneDX',
  specVersion: '1.6',
  version: 1,
  metadata: { component: { type: 'application', ...component({ name, version, license }) } },
  components: packages.map((each) => ({ type: 'library', ...component(each) })),
});
writeFileSync(join(target, 'THIRD-PARTY-LICENCES'), packages.map(licenceText).join('\n'));

/** A package may have several versions of another in its own folder. */
function packageFolder(input) {
  const match = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input);
  return match === null ? [] : [match[0]];
}

function component({ name, version, license }) {
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  return { name, version, 'bom-ref': purl, purl, licenses: [{ license: { id: license } }] };
}

function licenceText({ path, name, version, license }) {
  const file = readdirSync(join(root, path)).find((each) => /^licen[cs]e/i.test(each));
  const text = file === undefined ? '' : readFileSync(join(root, path, file), 'utf8').trim();
  return `${name} ${version} (${license})\n\n${text}\n`;
}

function writeJson(file, content) {
  writeFileSync(join(target, file), `${JSON.stringify(content, null, 2)}\n`);
}
