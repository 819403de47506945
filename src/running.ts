import type { EventEmitter } from 'node:events';
import { type Fault, faultOf } from './fault.ts';
import type { Logger } from './log.ts';

/** What a command that stays gives to the process that runs it. */
export interface Running {
  /** Drains and releases everything; bounded by the command itself. Idempotent. */
  stop(): Promise<void>;
  /** Resolves when all is over: with a fault when it ended by itself and not well. Never rejects. */
  readonly ended: Promise<Fault | null>;
}

/**
 * Runs a command until it has ended, and answers the process' exit code: 0 after a stop, 1 after a failure, that
 * of `refuse` when it could not start with these settings. SIGTERM and SIGINT stop it; a second one ends the process
 * at once. What nobody caught is logged and ends it too: the state after it is unknown, and the next start is clean.
 *
 * `start` rejects when it cannot start, with a `FaultError` unless that is a bug. `events` is the process.
 */
export function runUntilEnd(
  start: () => Promise<Running>,
  events: EventEmitter,
  log: Logger,
  refuse: (message: string) => number,
): Promise<number> {
  return new Promise((exit) => {
    let running: Running | undefined;
    let isStopping = false;

    const failed = (thrown: unknown): void => {
      const { code, message } = faultOf(thrown);
      // The stack is only of use where it is a bug.
      log.fatal(code === 'bug' ? { err: thrown } : { code, reason: message }, 'process failed');
      exit(1);
    };
    // A setting that only its use shows to be bad is refused as one that cannot be read.
    const isBadSetting = ({ code }: Fault): boolean => code === 'config-invalid';
    const stop = (): void => {
      running?.stop().then(() => {
        log.info({}, 'stopped');
        exit(0);
      }, failed);
    };
    const signalled = (signal: string): void => {
      if (isStopping) {
        log.warn({ signal }, 'process ends at once');
        exit(1);
        return;
      }
      isStopping = true;
      log.info({ signal }, 'process stops');
      stop();
    };

    events.on('SIGTERM', signalled);
    events.on('SIGINT', signalled);
    events.on('uncaughtException', failed);
    events.on('unhandledRejection', failed);
    start().then(
      (started) => {
        running = started;
        if (isStopping) stop();
        void started.ended.then((fault) => {
          if (isStopping) return;
          if (fault === null) exit(0);
          else if (isBadSetting(fault)) exit(refuse(fault.message));
          else {
            log.fatal({ code: fault.code, reason: fault.message }, 'process ended by itself');
            exit(1);
          }
        });
      },
      (thrown: unknown) => {
        const fault = faultOf(thrown);
        if (isBadSetting(fault)) exit(refuse(fault.message));
        else failed(thrown);
      },
    );
  });
}
