import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';

export type { Logger } from 'pino';

/** Whatever carries one of these names is a secret, at any of the depths that our log fields have. */
const secretNames = ['token', 'tunnelSecret', 'apiToken', 'secret', 'authorization', 'credentials'];
const redactedPaths = secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

export interface LogSettings {
  readonly level: string;
  readonly format: 'json' | 'pretty';
}

/** The process' logger: constant words with fields, secrets redacted. The one door to pino. */
export function createLog(settings: LogSettings, destination?: DestinationStream): Logger {
  const options: LoggerOptions = {
    level: settings.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: redactedPaths, censor: '[redacted]' },
  };
  if (destination !== undefined) return pino(options, destination);
  if (settings.format === 'pretty') {
    return pino({ ...options, transport: { target: 'pino-pretty', options: { destination: 1 } } });
  }
  return pino(options);
}
