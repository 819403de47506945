import { z } from 'zod';
import { accessTeamName } from '../domain/access.ts';
import { type IngressSettings, isOfTunnel, type Problem, type TunnelSetting } from '../domain/ingress.ts';
import { parseDurationMs } from '../time/duration.ts';
import { ignoredAnnotations } from './ignored-annotations.ts';

/** Every annotation of ours begins with it; a key behind it that we do not know is refused, not overlooked. */
export const annotationPrefix = 'cloudflare-warp/';

/** How much of a value is repeated in a message. */
const maxQuotedLength = 64;
const maxDurationMs = 24 * 3_600_000;

const choice = <const T extends string>(...values: readonly [T, ...T[]]) =>
  z
    .enum(values, { error: `one of ${values.join(', ')}` })
    .meta({ values: values.map((value) => `\`${value}\``).join(', ') });

const flag = choice('true', 'false')
  .transform((value) => value === 'true')
  .meta({ values: '`true`, `false`' });

const wholeNumber = (min: number, max: number) => {
  const error = `a whole number from ${min} to ${max}`;
  return z
    .string({ error })
    .regex(/^\d{1,9}$/, { error })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error })
    .meta({ values: error });
};

const duration = (minMs: number) => {
  const error = `a duration like 30s, 1m30s or 500ms, from ${minMs} ms to 24h`;
  return z
    .string({ error })
    .transform((text, context) => {
      const ms = parseDurationMs(text);
      if (ms !== null && ms >= minMs && ms <= maxDurationMs) return ms;
      context.issues.push({ code: 'custom', message: error, input: text });
      return z.NEVER;
    })
    .meta({ values: error });
};

const matching = (expected: string, accept: (text: string) => boolean) =>
  z.string({ error: expected }).refine(accept, { error: expected }).meta({ values: expected });

const objectName = matching('the name of a Secret', (text) =>
  /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(text),
);
const serverName = matching(
  'a host name',
  (text) => text.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(text),
);
const hostHeader = matching('a value for the Host header: name or address, optionally with a port', (text) =>
  /^[\w.:[\]-]{1,255}$/.test(text),
);
const teamText = 'an Access team: its name in lower case, or <name>.cloudflareaccess.com';
const accessTeam = z
  .string()
  .transform((text, context) => {
    const team = accessTeamName(text);
    if (team !== null) return team;
    context.issues.push({ code: 'custom', message: teamText, input: text });
    return z.NEVER;
  })
  .meta({ values: teamText });
const maxAudiences = 20;
const audienceText = `one to ${maxAudiences} application audience tags, separated by commas`;
const audiences = z
  .string()
  .transform((text) => text.split(',').map((tag) => tag.trim()))
  .refine((tags) => tags.length <= maxAudiences && tags.every((tag) => /^[\w-]{1,128}$/.test(tag)), {
    error: audienceText,
  })
  .meta({ values: audienceText });

/** A row of the reference (`annotation-reference`). */
interface About {
  /** A value, or what holds without one. */
  readonly default: string;
  /** One sentence without its full stop. */
  readonly does: string;
}

const about = <T extends z.ZodType>(kind: T, words: About): T => kind.meta({ ...kind.meta(), ...words });

/** The keys without their prefix, in the order of the reference, which is made from it. */
export const annotationSchema = z
  .strictObject({
    mode: about(choice('worker', 'pod'), {
      default: '`worker`',
      does: 'Where the tunnel runs: in a thread of the controller or in pods of its own',
    }),
    replicas: about(wholeNumber(1, 25), { default: '`1`', does: 'Pods of a tunnel in mode `pod`' }),
    'ha-connections': about(wholeNumber(1, 4), {
      default: '`4`',
      does: 'Connections to the edge; one is as fast as four, more survive the loss of some',
    }),
    'no-backend': about(choice('close', '503'), {
      default: '`close`',
      does: 'While no endpoint is ready: close the tunnel, or keep it up and answer 503',
    }),
    dns: about(choice('managed', 'off'), {
      default: '`managed`',
      does: 'Whether the host is published; `off` removes what leads to our tunnel and nothing else',
    }),
    'origin-via': about(choice('service', 'endpoints'), {
      default: '`service`',
      does: "The Service's cluster IP and Kubernetes' balancing, or straight to the ready addresses",
    }),
    'backend-protocol': about(choice('http', 'https', 'h2c', 'tcp'), {
      default: '`http`',
      does: 'What the backend speaks: `h2c` is HTTP/2 without TLS (gRPC), `tcp` any bytes, carried in binary WebSocket messages as `cloudflared access tcp` sends them',
    }),
    'origin-server-name': about(serverName, {
      default: 'the host of the request',
      does: "Name that the backend's certificate must be good for, also its SNI",
    }),
    'no-tls-verify': about(flag, {
      default: '`false`',
      does: "Do not look at the backend's certificate; a `ca-secret` is the better way",
    }),
    'ca-secret': about(objectName, {
      default: "the public roots and Cloudflare's",
      does: 'Secret of the namespace whose `ca.crt` holds PEM certificates that are trusted beside those, not instead of them; a renewed one is taken at once',
    }),
    'http-host-header': about(hostHeader, {
      default: 'the host of the request',
      does: 'Sent to the backend as `Host`; the original goes into `X-Forwarded-Host`',
    }),
    'connect-timeout': about(duration(1), {
      default: '`30s`',
      does: 'To establish a connection to the backend, TLS included',
    }),
    'keepalive-timeout': about(duration(0), {
      default: '`90s`',
      does: 'How long an idle connection to the backend is kept',
    }),
    'keepalive-connections': about(wholeNumber(0, 100_000), {
      default: '`100`',
      does: 'Idle connections to the backend that are kept',
    }),
    'http2-origin': about(flag, {
      default: '`false`',
      does: 'Speak HTTP/2 (gRPC) to an https backend that chooses it, else HTTP/1.1',
    }),
    'disable-chunked-encoding': about(flag, {
      default: '`false`',
      does: 'Send bodies with a `Content-Length`, for backends (WSGI) that know no chunks',
    }),
    'access-team': about(accessTeam, {
      default: 'everybody comes in',
      does: 'Refuse requests without a valid Cloudflare Access token of this team; goes with `access-aud`',
    }),
    'access-aud': about(audiences, {
      default: 'everybody comes in',
      does: 'The Access applications whose tokens are accepted; goes with `access-team`',
    }),
  })
  .partial();

export interface ParsedAnnotations {
  /** The defaults where there is a problem: not to be acted on then. */
  readonly settings: IngressSettings;
  readonly problems: readonly Problem[];
  /** As `IngressSpec.ignored`. */
  readonly ignored: readonly Problem[];
  /** As `IngressSpec.ofTunnel`. */
  readonly ofTunnel: readonly TunnelSetting[];
}

/** Our settings among all annotations of an Ingress, over the controller's defaults. */
export function parseAnnotations(
  annotations: Readonly<Record<string, unknown>>,
  defaults: IngressSettings,
): ParsedAnnotations {
  const ours = Object.entries(annotations).filter(([key]) => key.startsWith(annotationPrefix));
  const without = (problems: readonly Problem[]): ParsedAnnotations => ({
    settings: defaults,
    problems,
    ignored: [],
    ofTunnel: [],
  });
  if (ours.length === 0) return without([]);

  const given = Object.fromEntries(
    ours.map(([key, value]) => [key.slice(annotationPrefix.length), value] as const),
  );
  const parsed = annotationSchema.safeParse(given);
  if (!parsed.success) return without(problemsOf(parsed.error, given));

  const value = parsed.data;
  const team = value['access-team'];
  const audience = value['access-aud'];
  if ((team === undefined) !== (audience === undefined)) {
    const [has, lacks] = team === undefined ? ['access-aud', 'access-team'] : ['access-team', 'access-aud'];
    const message = `given without ${annotationPrefix}${lacks}, expected both or none`;
    return without([{ where: whereOf(has!), message }]);
  }

  const origin = defaults.origin;
  const settings: IngressSettings = {
    mode: value.mode ?? defaults.mode,
    replicas: value.replicas ?? defaults.replicas,
    haConnections: value['ha-connections'] ?? defaults.haConnections,
    noBackend: value['no-backend'] ?? defaults.noBackend,
    dns: value.dns ?? defaults.dns,
    originVia: value['origin-via'] ?? defaults.originVia,
    origin: {
      protocol: value['backend-protocol'] ?? origin.protocol,
      serverName: value['origin-server-name'] ?? origin.serverName,
      verifyTls: invert(value['no-tls-verify']) ?? origin.verifyTls,
      caSecret: value['ca-secret'] ?? origin.caSecret,
      hostHeader: value['http-host-header'] ?? origin.hostHeader,
      connectTimeoutMs: value['connect-timeout'] ?? origin.connectTimeoutMs,
      keepAliveTimeoutMs: value['keepalive-timeout'] ?? origin.keepAliveTimeoutMs,
      keepAliveConnections: value['keepalive-connections'] ?? origin.keepAliveConnections,
      http2: value['http2-origin'] ?? origin.http2,
      chunkedEncoding: invert(value['disable-chunked-encoding']) ?? origin.chunkedEncoding,
    },
    access: team !== undefined && audience !== undefined ? { team, audience } : defaults.access,
  };
  const keys = Object.keys(given);
  const ignored = ignoredAnnotations(keys, settings, defaults).map(({ key, because }) => ({
    where: whereOf(key),
    message: `changes nothing here: ${because}`,
  }));
  return { settings, problems: [], ignored, ofTunnel: keys.filter(isOfTunnel) };
}

/** Cuts and escapes what a user wrote, so that it fits into a sentence. */
export function quoted(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(cut(value));
  return cut(JSON.stringify(value) ?? typeof value);
}

function cut(text: string): string {
  return text.length > maxQuotedLength ? `${text.slice(0, maxQuotedLength)}…` : text;
}

function problemsOf(error: z.ZodError, given: Readonly<Record<string, unknown>>): readonly Problem[] {
  return error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        where: whereOf(key),
        message: `not known, expected one of ${Object.keys(annotationSchema.shape).join(', ')}`,
      }));
    }
    const key = String(issue.path[0]);
    const message = `got ${quoted(given[key])}, expected ${issue.message}`;
    return [{ where: whereOf(key), message }];
  });
}

function whereOf(key: string): string {
  return `metadata.annotations[${annotationPrefix}${shown(key)}]`;
}

/** A key that we do not know, fit for a sentence: an API server lets no others than these through. */
function shown(key: string): string {
  return key.slice(0, maxQuotedLength).replaceAll(/[^\w./-]/g, '?');
}

function invert(value: boolean | undefined): boolean | undefined {
  return value === undefined ? undefined : !value;
}
