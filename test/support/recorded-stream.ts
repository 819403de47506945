import type { EdgeStream } from '../../src/tunnel/edge-session.ts';

/** An `EdgeStream` that remembers what was done to it. */
export class RecordedStream implements EdgeStream {
  readonly id = 1;
  readonly responses: { status: number; ended: boolean }[] = [];
  readonly written: Buffer[] = [];
  ended = false;
  paused = false;
  resetWith: number | null = null;

  takes(): boolean {
    return true;
  }

  respond(status: number, _headers: readonly string[], end: boolean): void {
    this.responses.push({ status, ended: end });
  }

  write(chunk: Uint8Array): boolean {
    this.written.push(Buffer.from(chunk));
    return true;
  }

  end(): void {
    this.ended = true;
  }

  reset(code: number): void {
    this.resetWith ??= code;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }
}
