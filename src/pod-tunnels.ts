import { readFile } from 'node:fs/promises';
import type { Leadership } from './actors/ports.ts';
import type { ControllerConfig } from './config.ts';
import { failed, ok, type Result } from './fault.ts';
import type { KubeClient } from './kube/client.ts';
import { readOwnImage } from './kube/pods/own-image.ts';
import { type PodTemplate, parsePodTemplate, podTemplateSetting } from './kube/pods/pod-template.ts';
import { createTunnelPods } from './kube/pods/tunnel-pods.ts';
import type { WatchTelemetry } from './kube/watch.ts';
import type { Logger } from './log.ts';
import { PodRunner } from './runners/pod-runner.ts';
import type { Clock } from './time/clock.ts';

export interface PodsPlace {
  readonly config: ControllerConfig;
  readonly client: KubeClient;
  /** Content of `--cacert`. */
  readonly ca: string | null;
  readonly template: PodTemplate | null;
  readonly leadership: Leadership;
  readonly clock: Clock;
  readonly log: Logger;
  readonly telemetry: WatchTelemetry;
}

/** What runs tunnels in pods, by the controller's settings. The caller closes it. */
export function createPodRunner(place: PodsPlace): PodRunner {
  const { config, client, ca, template, leadership, clock, log, telemetry } = place;
  const { apiUrl, edge, accessCertsUrl, graceMs } = config;
  const { image, credentials, cert } = config.pods;
  return new PodRunner({
    pods: createTunnelPods({ client, clock, log, telemetry }),
    settings: {
      credentials: credentials === 'token' ? { from: 'token' } : { from: 'cert', ...cert },
      apiUrl,
      edge,
      ca,
      accessCertsUrl,
      graceMs,
      logLevel: config.log.level,
      template,
    },
    image: async (signal) => (image === null ? readOwnImage(client, process.env, signal) : ok(image)),
    leadership,
    clock,
    log,
  });
}

/** The file of `--pod-template`; null is none. */
export async function readPodTemplate(path: string | null): Promise<Result<PodTemplate | null>> {
  if (path === null) return ok(null);
  try {
    return parsePodTemplate(await readFile(path, 'utf8'));
  } catch (thrown) {
    return failed('config-invalid', `${podTemplateSetting}: cannot be read: ${(thrown as Error).message}`);
  }
}
