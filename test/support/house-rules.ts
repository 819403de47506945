import { basename } from 'node:path';
import { type ImportLine, importLines } from './import-lines.ts';

/**
 * Which way the rooms look, as ARCHITECTURE.md draws it, and what every file keeps to. `path → source` in,
 * sentences that name file and rule out.
 */

interface Room {
  /** Folder with a closing slash, or one file. A file belongs to the room with the longest match. */
  readonly path: string;
  /** What may be imported besides the room's own files. */
  readonly sees: readonly string[];
  /** What may be imported by `import type` only. */
  readonly seesTypes?: readonly string[];
  /** Node's own modules: all of them when this is absent. */
  readonly node?: readonly string[];
  /** Packages: all that have no door elsewhere when this is absent. */
  readonly packages?: readonly string[];
}

const leaf = { packages: [] };
const adapter = {
  sees: ['src/domain/', 'src/time/', 'src/fault.ts'],
  seesTypes: ['src/actors/ports.ts', 'src/actors/messages.ts', 'src/log.ts'],
};
const everythingButSandbox = [
  'src/fault.ts',
  'src/time/',
  'src/domain/',
  'src/kernel/',
  'src/actors/',
  'src/kube/',
  'src/cloudflare/',
  'src/runners/',
  'src/tunnel/',
  'src/controller.ts',
  'src/config.ts',
  'src/config/',
  'src/latest-connections.ts',
  'src/log.ts',
  'src/ops.ts',
  'src/ops/',
  'src/running.ts',
];

const rooms: readonly Room[] = [
  { path: 'src/fault.ts', sees: [], node: [], ...leaf },
  { path: 'src/time/', sees: [], node: [], ...leaf },
  { path: 'src/domain/', sees: ['src/fault.ts'], node: ['node:crypto'], ...leaf },
  { path: 'src/tunnel/wire/', sees: [], node: ['node:buffer', 'node:crypto'], ...leaf },
  { path: 'src/kernel/', sees: ['src/time/', 'src/fault.ts'], node: [], ...leaf },
  {
    path: 'src/actors/',
    sees: ['src/kernel/', 'src/domain/', 'src/time/', 'src/fault.ts'],
    seesTypes: ['src/tunnel/link.ts'],
    node: ['node:crypto', 'node:util'],
    ...leaf,
  },
  { path: 'src/kube/', ...adapter },
  { path: 'src/cloudflare/', ...adapter },
  {
    path: 'src/runners/',
    ...adapter,
    sees: [...adapter.sees, 'src/tunnel/link.ts', 'src/tunnel/token.ts', 'src/kube/pods/'],
  },
  {
    path: 'src/tunnel/',
    sees: ['src/tunnel/wire/', 'src/domain/', 'src/time/', 'src/fault.ts'],
    seesTypes: ['src/log.ts'],
    packages: ['jose'],
  },
  { path: 'src/latest-connections.ts', sees: [], ...leaf },
  {
    path: 'workers/',
    sees: ['src/tunnel/', 'src/time/', 'src/fault.ts', 'src/log.ts', 'src/latest-connections.ts'],
    ...leaf,
  },
  {
    path: 'src/sandbox/',
    sees: ['src/tunnel/wire/', 'src/time/', 'src/fault.ts'],
    seesTypes: ['src/log.ts'],
  },
  // Only the sandbox's main starts the controller, and it does so as the process does.
  { path: 'src/sandbox/main.ts', sees: ['src/sandbox/', ...everythingButSandbox] },
  { path: 'src/', sees: [...everythingButSandbox, 'workers/tunnel-pod.ts'] },
  { path: 'test/', sees: ['src/', 'workers/', 'bench/', 'fuzz/', 'chaos/'] },
  { path: 'bench/', sees: ['src/', 'workers/', 'test/support/'] },
  { path: 'fuzz/', sees: ['src/', 'test/support/'] },
  // Its controller is a process of its own, met over sockets as the sandbox meets it.
  { path: 'chaos/', sees: ['src/sandbox/', 'src/time/', 'src/domain/', 'fuzz/random.ts', 'test/support/'] },
];

/** One door per package: the only files that may import it. A door with a slash at its end is a folder. */
const doors: Readonly<Record<string, readonly string[]>> = {
  // The sandbox's API server takes the schema of the objects that it serves from the client's generated models.
  '@kubernetes/client-node': ['src/kube/', 'src/sandbox/kube-api/schema/'],
  cloudflare: ['src/cloudflare/'],
  piscina: ['src/runners/thread-runner.ts', 'src/runners/thread-pool.ts'],
  'p-queue': ['src/cloudflare/client.ts'],
  jose: ['src/tunnel/access/jwt.ts'],
  'js-yaml': ['src/kube/kubeconfig.ts', 'src/sandbox/kube-api/http/'],
  pino: ['src/log.ts'],
  'prom-client': ['src/ops.ts', 'src/ops/'],
};

const sandboxMain = 'src/sandbox/main.ts';
const maxLines = 500;
const vagueNames = /^(utils?|helpers?|common|types?|misc|shared|index)\.ts$/;
const vagueFolders = /(^|\/)(utils?|helpers?|common|types?|misc|shared)\//;
const vagueClass = /\bclass\s+\w*(Manager|Helper|Base)\b/;

export function brokenRules(files: ReadonlyMap<string, string>): readonly string[] {
  const lines = new Map(Array.from(files, ([path, source]) => [path, importLines(path, source)]));
  return [
    ...Array.from(files).flatMap(([path, source]) => brokenByFile(path, source)),
    ...Array.from(lines.values()).flatMap((imports) => imports.flatMap(brokenByImport)),
    ...cycles(lines),
  ];
}

function brokenByFile(path: string, source: string): string[] {
  const broken: string[] = [];
  const lineCount = source.split('\n').length - 1;
  if (lineCount > maxLines) broken.push(`${path}: ${lineCount} lines, no file has more than ${maxLines}`);
  if (vagueNames.test(basename(path)) || vagueFolders.test(path)) {
    broken.push(`${path}: a file's name says what its one thing is; no utils, helpers, common, types, index`);
  }
  const badClass = source.match(vagueClass);
  if (badClass !== null) broken.push(`${path}: ${badClass[0]}: no class is named Manager, Helper or Base`);
  return broken;
}

function brokenByImport(line: ImportLine): string[] {
  const room = roomOf(line.from);
  if (room === undefined) return [`${line.from}: belongs to no room of ARCHITECTURE.md`];
  const broken: string[] = [];
  const fault = (rule: string): void => void broken.push(`${line.from} imports ${line.to}: ${rule}`);
  if (line.package !== null) {
    // Tests may look through any door; what ships may not.
    if (['test/', 'bench/', 'fuzz/', 'chaos/'].includes(room.path)) return [];
    const door = doors[line.package];
    if (door !== undefined && !door.some((entry) => isIn(entry, line.from))) {
      fault(`one door per package, and this one's is ${door.join(', ')}`);
    } else if (room.packages !== undefined && !room.packages.includes(line.package)) {
      fault(`${room.path} uses ${room.packages.join(', ') || 'no package'}`);
    }
  } else if (line.to.startsWith('node:')) {
    if (room.node !== undefined && !room.node.includes(line.to)) {
      fault(`of Node's modules ${room.path} uses ${room.node.join(', ') || 'none'}`);
    }
  } else {
    if (line.isReexport) fault('no barrel files: import from the file that has it');
    if (line.from === 'src/main.ts' && line.to === sandboxMain && line.kind === 'dynamic') return broken;
    const sees = [...room.sees, ...(line.kind === 'type' ? (room.seesTypes ?? []) : [])];
    if (roomOf(line.to) !== room && !sees.some((entry) => isIn(entry, line.to))) {
      const onlyTypes = room.seesTypes?.some((entry) => isIn(entry, line.to))
        ? ' (of this file only types)'
        : '';
      fault(`${room.path} sees ${room.sees.join(', ') || 'no other room'}${onlyTypes}`);
    }
  }
  return broken;
}

function roomOf(path: string): Room | undefined {
  let found: Room | undefined;
  for (const room of rooms) {
    if (isIn(room.path, path) && (found === undefined || room.path.length > found.path.length)) found = room;
  }
  return found;
}

function isIn(entry: string, path: string): boolean {
  return entry.endsWith('/') ? path.startsWith(entry) : path === entry;
}

/** Each cycle once, as `a → b → a`. Dynamic imports count too: a lazy cycle is still one. */
function cycles(lines: ReadonlyMap<string, readonly ImportLine[]>): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const walk = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      found.push(`${[...trail.slice(start), path].join(' → ')}: no cycles`);
      return;
    }
    if (done.has(path)) return;
    for (const { to } of lines.get(path) ?? []) if (lines.has(to)) walk(to, [...trail, path]);
    done.add(path);
  };
  for (const path of lines.keys()) walk(path, []);
  return found;
}
