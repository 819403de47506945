import type { AccessTeams } from '../../src/tunnel/access/access-teams.ts';

/** For tests in which no route asks for a token: an Access team is a mistake there. */
export const noTeams: AccessTeams = {
  verifierOf: (team) => {
    throw new Error(`no Access team in this test, not ${team}`);
  },
  destroy: () => {},
};
