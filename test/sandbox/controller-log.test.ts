import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { openControllerLog, terminalLine } from '../../src/sandbox/controller-log.ts';

describe("sandbox: the controller's log", () => {
  const lines: [title: string, line: string, shown: string | null][] = [
    ['what is normal stays in the file', '{"level":"info","time":"t","msg":"tunnel opening"}', null],
    [
      'a warning is shown with its fields',
      '{"level":"warn","time":"t","host":"a.b","delayMs":3,"msg":"thread lost"}',
      'warn: thread lost host=a.b delayMs=3',
    ],
    ['what is no log line is shown as it is', 'FATAL ERROR: heap', 'FATAL ERROR: heap'],
    ['a bare word of JSON is no log line to show', '7', null],
  ];
  for (const [title, line, shown] of lines) {
    it(title, () => expect(terminalLine(line)).to.equal(shown));
  }

  it('keeps every line in the file', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'log-'));
    const shown: string[] = [];
    const log = openControllerLog(join(directory, 'log'), (text) => shown.push(text));
    for (const [, line] of lines) log.line(line);
    await log.close();
    expect(await readFile(log.path, 'utf8')).to.equal(lines.map(([, line]) => `${line}\n`).join(''));
    expect(shown).to.have.length(2);
    await rm(directory, { recursive: true });
  });
});
