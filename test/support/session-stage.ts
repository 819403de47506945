import type { EdgeStream, RequestHead } from '../../src/tunnel/edge-session.ts';
import type { ConnectionEnd } from '../../src/tunnel/http2/connection.ts';
import type { EdgeSessionOptions } from '../../src/tunnel/http2/server/session.ts';
import type { StreamHandler } from '../../src/tunnel/http2/stream.ts';
import { sessionOn, socketPair, type TestedSession } from './edge-peer.ts';
import { eventually } from './eventually.ts';
import { ManualClock } from './manual-clock.ts';
import { RawEdge } from './raw-edge.ts';
import { rawFrame } from './raw-frames.ts';

/** One stream as its handler saw it. */
export interface SeenStream {
  readonly stream: EdgeStream;
  readonly head: RequestHead;
  bodyBytes: number;
  ended: readonly string[] | null;
  reset: number | null;
  drains: number;
}

/** A session under test, with a raw edge before it and handlers behind it that keep what they hear. */
export class SessionStage {
  readonly clock: ManualClock;
  readonly edge: RawEdge;
  readonly tested: TestedSession;
  readonly seen: SeenStream[];

  private constructor(clock: ManualClock, edge: RawEdge, tested: TestedSession, seen: SeenStream[]) {
    this.clock = clock;
    this.edge = edge;
    this.tested = tested;
    this.seen = seen;
  }

  /** `serve` is called for each stream when its request is complete; default: an empty 200. */
  static async open(
    options: EdgeSessionOptions = {},
    serve: (seen: SeenStream) => void = ({ stream }) => stream.respond(200, [], true),
    overrides: Partial<StreamHandler> = {},
  ): Promise<SessionStage> {
    const clock = new ManualClock();
    const { near, far } = await socketPair();
    const seen: SeenStream[] = [];
    const tested = sessionOn(
      near,
      (stream, head) => {
        const entry: SeenStream = { stream, head, bodyBytes: 0, ended: null, reset: null, drains: 0 };
        seen.push(entry);
        if (head.ended) serve(entry);
        return {
          data: (chunk) => {
            entry.bodyBytes += chunk.length;
          },
          end: (trailers) => {
            entry.ended = trailers;
            serve(entry);
          },
          reset: (code) => {
            entry.reset = code;
          },
          drain: () => {
            entry.drains += 1;
          },
          ...overrides,
        };
      },
      { clock, ...options },
    );
    return new SessionStage(clock, new RawEdge(far), tested, seen);
  }

  /** Everything sent so far has been read by the session, and what it had to say to that has arrived. */
  async settled(): Promise<void> {
    const pongs = this.edge.on(0, 6).length;
    this.edge.send(rawFrame(6, 0, 0, Buffer.alloc(8)));
    await eventually('a pong', () => this.edge.on(0, 6).length > pongs);
  }

  /** What the session says of its end, once the connection is gone. */
  async end(): Promise<ConnectionEnd> {
    return await this.tested.ended;
  }

  async close(): Promise<void> {
    this.tested.session.destroy();
    const end = await this.tested.ended;
    const { endings } = this.tested;
    if (endings.length !== 1) throw new Error(`the session said ${endings.length} times that it ends`);
    if (endings[0] !== end) throw new Error('the session ended otherwise than it said');
    await this.edge.close();
    if (this.clock.pendingTimers > 0) throw new Error('the session left a timer behind');
  }
}
