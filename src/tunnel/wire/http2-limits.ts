/**
 * Every bound that a connection holds against its peer, in one place. The numbers are far above what real load needs and
 * far below what would hurt the other tunnels of the thread.
 */
export interface Http2Limits {
  /** Announced as MAX_CONCURRENT_STREAMS; one more is answered REFUSED_STREAM. cloudflared announces none. */
  readonly maxConcurrentStreams: number;
  /** Announced as MAX_FRAME_SIZE. */
  readonly maxFrameBytes: number;
  /** Announced as HEADER_TABLE_SIZE: the peer's encoder may make us keep this much. */
  readonly headerTableBytes: number;
  /** Uncompressed size (RFC 9113, section 6.5.2) of one header list. Above: 431, the stream alone. */
  readonly maxHeaderListBytes: number;
  /** Fields of one header list. Above: 431, the stream alone. */
  readonly maxHeaderFields: number;
  /** Compressed bytes of one header block over all its frames. Above: ENHANCE_YOUR_CALM. */
  readonly maxHeaderBlockBytes: number;
  /** CONTINUATION frames of one header block, empty ones too. Above: ENHANCE_YOUR_CALM. */
  readonly maxContinuations: number;
  /** From the first to the last frame of one header block, milliseconds. Longer: ENHANCE_YOUR_CALM. */
  readonly headerBlockMs: number;
  /** Header list bytes that all open streams may hold together. Above: REFUSED_STREAM. */
  readonly maxOpenHeaderBytes: number;
  /** Announced as INITIAL_WINDOW_SIZE: the most body bytes that still arrive on a paused stream. */
  readonly streamWindowBytes: number;
  /** The same once paused handlers hold a quarter of `maxHeldBytes`, and until they hold a sixteenth. */
  readonly narrowWindowBytes: number;
  /** Receive window of the connection. Given back as soon as bytes were handed to a handler. */
  readonly connectionWindowBytes: number;
  /**
   * Body bytes handed to handlers that are paused, over all streams. Above, the connection's window is not given
   * back either, so a session's memory is bounded by this plus one connection window.
   */
  readonly maxHeldBytes: number;
  /** Settings in one SETTINGS frame. Above: ENHANCE_YOUR_CALM. */
  readonly maxSettingsPerFrame: number;
  /**
   * Streams that came to nothing: reset by the peer before we answered (rapid reset), or by us because the peer
   * broke a rule. Burst, and refill per second. Above: ENHANCE_YOUR_CALM.
   */
  readonly wastedStreams: Rate;
  /** Frames that oblige us to answer or do nothing at all: PING, SETTINGS, empty DATA. Above: ENHANCE_YOUR_CALM. */
  readonly idleFrames: Rate;
  /**
   * Frames that are cheap and may be many: WINDOW_UPDATE, PRIORITY, unknown types. Each DATA frame that we send
   * allows `windowUpdatesPerData` more. Above: ENHANCE_YOUR_CALM.
   */
  readonly cheapFrames: Rate;
  readonly windowUpdatesPerData: number;
  /** Idle frames that each DATA frame of ours allows: servers of gRPC measure the way with a PING per round trip. */
  readonly idleFramesPerData: number;
  /** Until the client preface is complete, milliseconds (cloudflared: 10 s). */
  readonly prefaceMs: number;
  /** From the preface to the peer's first SETTINGS, milliseconds (cloudflared: 2 s). */
  readonly firstSettingsMs: number;
  /** From our SETTINGS (counted from the peer's first) to its acknowledgement. Longer: SETTINGS_TIMEOUT. */
  readonly settingsAckMs: number;
  /**
   * Bytes given to the socket and not yet taken by the peer, above which no more DATA is framed: between these two, as
   * fast as the peer takes them.
   */
  readonly leastOutputBytes: number;
  readonly mostOutputBytes: number;
  /** The same with everything that is not flow-controlled (HEADERS, PING, RST). Above: ENHANCE_YOUR_CALM. */
  readonly maxUnsentBytes: number;
  /** Body bytes that one stream queues before its `write` says false. */
  readonly streamQueueBytes: number;
  /** Once we end the connection, how long the peer may take to read what we have sent, milliseconds. */
  readonly lastBytesMs: number;
  /** After that, how long it may take to close its side, milliseconds. */
  readonly lingerMs: number;
}

/** A token bucket: `burst` at once, then `perSecond`. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

const kibi = 1024;
const mebi = 1024 * kibi;

/** Against the edge. */
export const defaultHttp2Limits: Http2Limits = {
  maxConcurrentStreams: 10_000,
  maxFrameBytes: mebi,
  headerTableBytes: 4096,
  maxHeaderListBytes: mebi + 320,
  maxHeaderFields: 4096,
  maxHeaderBlockBytes: 2 * mebi,
  maxContinuations: 256,
  headerBlockMs: 10_000,
  maxOpenHeaderBytes: 32 * mebi,
  streamWindowBytes: mebi,
  narrowWindowBytes: 64 * kibi - 1,
  connectionWindowBytes: 4 * mebi,
  maxHeldBytes: 64 * mebi,
  maxSettingsPerFrame: 128,
  wastedStreams: { burst: 4000, perSecond: 1000 },
  idleFrames: { burst: 1000, perSecond: 100 },
  cheapFrames: { burst: 50_000, perSecond: 50_000 },
  windowUpdatesPerData: 4,
  idleFramesPerData: 0,
  prefaceMs: 10_000,
  firstSettingsMs: 2000,
  settingsAckMs: 10_000,
  leastOutputBytes: 256 * kibi,
  mostOutputBytes: mebi,
  maxUnsentBytes: 16 * mebi,
  streamQueueBytes: 64 * kibi,
  lastBytesMs: 30_000,
  lingerMs: 1000,
};
