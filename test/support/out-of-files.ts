import { openSync } from 'node:fs';
import { systemClock } from '../../src/time/clock.ts';
import { dialEdge } from '../../src/tunnel/edge-dial.ts';

/** A program that opens all files that it may, then dials an edge, and writes down what fault that comes to. */

// What has to be opened for the dial itself, roots and modules, is opened by one before.
const dial = (failed: Parameters<typeof dialEdge>[3]['failed']) =>
  dialEdge({ ip: '127.0.0.1', port: 1 }, null, systemClock, { reached() {}, connected() {}, failed });

dial(() => {
  try {
    while (true) openSync('/dev/null', 'r');
  } catch {
    dial((fault) => process.stdout.write(JSON.stringify(fault)));
  }
});
