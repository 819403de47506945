import type { TunnelRunner } from '../actors/ports.ts';

/** One runner of two: each run goes where its request says. */
export function runnerByPlace(threads: TunnelRunner, pods: TunnelRunner): TunnelRunner {
  return {
    start: (request, hear) => (request.place.mode === 'pod' ? pods : threads).start(request, hear),
    clear(host) {
      threads.clear(host);
      pods.clear(host);
    },
  };
}
