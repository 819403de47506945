import { expect } from 'chai';
import { Http2ConnectionError } from '../../src/tunnel/wire/http2-errors.ts';
import { FrameParser, type FrameSink, type ParserLimits } from '../../src/tunnel/wire/http2-frame-parser.ts';

/** Small, so that they are met. */
export const smallFrameLimits: ParserLimits = {
  maxFrameBytes: 70_000,
  maxHeaderBlockBytes: 400,
  maxContinuations: 4,
  maxSettingsPerFrame: 8,
};

/** Everything the parser told, DATA pieces joined: what must not depend on how the bytes were cut. */
export class FrameWitness implements FrameSink {
  readonly told: string[] = [];
  refuseData = false;
  #data = '';

  preface(): void {
    this.told.push('preface');
  }
  dataBegins(streamId: number, flowBytes: number, endStream: boolean): boolean {
    this.told.push(`data ${streamId} ${flowBytes} ${endStream}`);
    this.#data = '';
    return !this.refuseData;
  }
  dataPiece(source: Buffer, start: number, end: number): void {
    expect(end).to.be.greaterThan(start);
    this.#data += source.toString('hex', start, end);
  }
  dataEnds(endStream: boolean): void {
    this.told.push(`data ends ${endStream} ${this.#data}`);
  }
  headers(id: number, end: boolean, selfDependent: boolean, source: Buffer, from: number, to: number): void {
    this.told.push(`headers ${id} ${end} ${selfDependent} ${source.toString('hex', from, to)}`);
  }
  ignored(): void {
    this.told.push('ignored');
  }
  streamReset(streamId: number, code: number): void {
    this.told.push(`reset ${streamId} ${code}`);
  }
  settings(source: Buffer, start: number, end: number): void {
    this.told.push(`settings ${source.toString('hex', start, end)}`);
  }
  settingsAck(): void {
    this.told.push('settings ack');
  }
  pinged(ack: boolean, source: Buffer, start: number): void {
    this.told.push(`ping ${ack} ${source.toString('hex', start, start + 8)}`);
  }
  goneAway(lastStreamId: number, code: number): void {
    this.told.push(`goaway ${lastStreamId} ${code}`);
  }
  windowUpdate(streamId: number, increment: number): void {
    this.told.push(`window ${streamId} ${increment}`);
  }
  streamError(streamId: number, code: number): void {
    this.told.push(`stream error ${streamId} ${code}`);
  }
}

/** Pushes `bytes` cut at `cuts`; the last line is the code of what was thrown, if something was. */
export function tellFrames(
  bytes: Buffer,
  cuts: readonly number[] = [],
  witness = new FrameWitness(),
): string[] {
  const parser = new FrameParser(witness, smallFrameLimits, 'client');
  let from = 0;
  try {
    for (const to of [...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length]) {
      // A copy that is spoilt afterwards: the parser may keep nothing of it.
      const chunk = Buffer.from(bytes.subarray(from, to));
      parser.push(chunk);
      chunk.fill(0xee);
      from = to;
    }
  } catch (thrown) {
    if (!(thrown instanceof Http2ConnectionError)) throw thrown;
    witness.told.push(`connection error ${thrown.code}`);
  }
  return witness.told;
}
