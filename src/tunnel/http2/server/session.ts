import type { Socket } from 'node:net';
import { type Clock, systemClock, type Timer } from '../../../time/clock.ts';
import type { EdgeSession, EdgeSessionEvents } from '../../edge-session.ts';
import { defaultWindowBytes } from '../../wire/flow-window.ts';
import { http2Error } from '../../wire/http2-errors.ts';
import { setting, settingsFrame, windowUpdateFrame } from '../../wire/http2-frames.ts';
import { defaultHttp2Limits, type Http2Limits } from '../../wire/http2-limits.ts';
import { Http2Connection } from '../connection.ts';
import { Requests } from './requests.ts';
import type { ServerStream } from './stream.ts';

export interface EdgeSessionOptions {
  readonly clock?: Clock;
  readonly limits?: Partial<Http2Limits>;
}

/**
 * Speaks HTTP/2 as the server on `socket`, which is connected and from now on owned by the session. Sends its
 * SETTINGS at once.
 */
export function createEdgeSession(
  socket: Socket,
  events: EdgeSessionEvents,
  options: EdgeSessionOptions = {},
): EdgeSession {
  const limits = { ...defaultHttp2Limits, ...options.limits };
  return new Session(socket, events, limits, options.clock ?? systemClock);
}

/** A connection whose client has to show in time that it speaks HTTP/2. */
class Session implements EdgeSession {
  readonly #connection: Http2Connection<ServerStream, Requests>;
  readonly #clock: Clock;
  /** The handshake's next step is due; null when it is done. */
  #handshake: Timer | null = null;
  /** SETTINGS of the peer have come. */
  #spoke = false;

  constructor(socket: Socket, events: EdgeSessionEvents, limits: Http2Limits, clock: Clock) {
    this.#clock = clock;
    this.#connection = new Http2Connection<ServerStream, Requests>(
      socket,
      {
        peer: 'client',
        opening: opening(limits),
        role: (streams, faults) => new Requests(streams, faults, limits, events),
      },
      {
        preface: () => this.#await(limits.firstSettingsMs, http2Error.settingsTimeout, 'no SETTINGS in time'),
        settings: () => this.#settingsCame(limits.settingsAckMs),
        settingsAck: () => this.#handshakeEnds(),
        streamGone: () => {
          if (this.openStreams === 0) events.idle?.();
        },
        ending: (cause) => {
          this.#handshakeEnds();
          events.ending?.(cause);
        },
        ended: (cause) => events.ended(cause),
        threw: (thrown) => events.handlerThrew(thrown),
      },
      limits,
      clock,
    );
    this.#await(limits.prefaceMs, http2Error.protocolError, 'no client preface in time');
  }

  get openStreams(): number {
    return this.#connection.streams.size;
  }

  close(): void {
    this.#connection.close();
  }

  destroy(): void {
    this.#connection.destroy();
  }

  get unansweredPings(): number {
    return this.#connection.unansweredPings;
  }

  get chunksHeard(): number {
    return this.#connection.chunksHeard;
  }

  ping(): void {
    this.#connection.ping();
  }

  /** The first are a step of the handshake. */
  #settingsCame(ackMs: number): void {
    if (this.#spoke) return;
    this.#spoke = true;
    this.#await(ackMs, http2Error.settingsTimeout, 'SETTINGS were not acknowledged');
  }

  #await(ms: number, code: number, missing: string): void {
    this.#handshake?.cancel();
    this.#handshake = this.#clock.after(ms, () => this.#connection.fail(code, missing));
  }

  #handshakeEnds(): void {
    this.#handshake?.cancel();
    this.#handshake = null;
  }
}

/** SETTINGS in cloudflared's order and with its values, save the number of streams (protocol page, section 5). */
function opening(limits: Http2Limits): Buffer {
  const settings = settingsFrame([
    [setting.maxFrameSize, limits.maxFrameBytes],
    [setting.maxConcurrentStreams, limits.maxConcurrentStreams],
    [setting.maxHeaderListSize, limits.maxHeaderListBytes],
    [setting.headerTableSize, limits.headerTableBytes],
    [setting.initialWindowSize, limits.streamWindowBytes],
    [setting.noRfc7540Priorities, 1],
  ]);
  return Buffer.concat([settings, windowUpdateFrame(0, limits.connectionWindowBytes - defaultWindowBytes)]);
}
