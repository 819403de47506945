import { accessIssuer } from '../../domain/access.ts';
import type { Logger } from '../../log.ts';
import type { Clock } from '../../time/clock.ts';
import { TeamKeys } from './team-keys.ts';
import { TeamVerifier } from './team-verifier.ts';

/** The Access teams that the tunnels of one thread admit by. */
export interface AccessTeams {
  /** The same for every tunnel that asks for the team. */
  verifierOf(team: string): TeamVerifier;
  /** Ends the fetches that are under way. Idempotent. */
  destroy(): void;
}

export interface AccessTeamsOptions {
  /** Where `/<team>/cdn-cgi/access/certs` is; null is each team's own host. */
  readonly certsUrl: string | null;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Pick<Logger, 'warn'>;
}

/** Teams remembered at a time; an account mostly has one. A forgotten one goes on for those who hold it. */
const maxTeams = 256;

export function createAccessTeams(options: AccessTeamsOptions): AccessTeams {
  const { certsUrl, clock, random, log } = options;
  const teams = new Map<string, { readonly keys: TeamKeys; readonly verifier: TeamVerifier }>();
  return {
    verifierOf(team) {
      const known = teams.get(team);
      if (known !== undefined) return known.verifier;
      const base = certsUrl === null ? accessIssuer(team) : `${certsUrl}/${team}`;
      const keys = new TeamKeys({
        team,
        certsUrl: `${base}/cdn-cgi/access/certs`,
        clock,
        random,
        log,
      });
      const verifier = new TeamVerifier(team, keys, clock);
      teams.set(team, { keys, verifier });
      for (const oldest of teams.keys()) {
        if (teams.size <= maxTeams) break;
        teams.delete(oldest);
      }
      return verifier;
    },
    destroy() {
      for (const { keys } of teams.values()) keys.destroy();
    },
  };
}
