import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../../scripts/image.mjs', import.meta.url));
let main: string | null = null;

/**
 * The program's main file, bundled as the image carries it: it starts in a quarter of the time that the compiled modules and
 * the SDKs beside them take. Made by the first test that asks for it, and removed when the process of the tests ends.
 */
export function bundledProgram(): string {
  if (main === null) {
    const folder = mkdtempSync(join(tmpdir(), 'bundled-program-'));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    execFileSync(process.execPath, [script, folder]);
    main = join(folder, 'dist', 'src', 'main.js');
  }
  return main;
}
