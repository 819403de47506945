import { openSync } from 'node:fs';
import { systemClock } from '../../src/time/clock.ts';
import { createAccessTeams } from '../../src/tunnel/access/access-teams.ts';

/**
 * A program that has all files open that it may as the first keys of an Access team come, when what reads them is to be
 * loaded. It writes down why there are no keys, and what becomes of a token.
 */

globalThis.fetch = async () => {
  try {
    while (true) openSync('/dev/null', 'r');
  } catch {
    return new Response('{"keys":[]}');
  }
};

const teams = createAccessTeams({
  certsUrl: null,
  clock: systemClock,
  random: () => 0.5,
  log: { warn: () => {} },
});
const acme = teams.verifierOf('acme');
acme.onProblem((problem) => {
  void acme.verify('a token').then((verified) => process.stdout.write(JSON.stringify({ problem, verified })));
});
acme.warm();
