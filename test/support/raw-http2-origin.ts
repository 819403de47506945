import type { Socket } from 'node:net';
import type { OriginSettings } from '../../src/domain/ingress.ts';
import { type Clock, systemClock } from '../../src/time/clock.ts';
import { HpackDecoder } from '../../src/tunnel/wire/hpack-decoder.ts';
import { eventually } from './eventually.ts';
import { type Proxied, proxied } from './proxied.ts';
import type { RawFrame } from './raw-edge.ts';
import { rawBlock, rawPreface, rawSettings } from './raw-frames.ts';
import { tableTo } from './route-to.ts';
import { scriptTcp, type TcpOrigin } from './tcp-origin.ts';

export const okBlock = rawBlock(':status', '200');

/** An origin whose frames are the test's, and ours as it saw them. */
export class RawHttp2Origin {
  readonly tcp: TcpOrigin;

  private constructor(tcp: TcpOrigin) {
    this.tcp = tcp;
  }

  static async open(): Promise<RawHttp2Origin> {
    return new RawHttp2Origin(await scriptTcp());
  }

  get port(): number {
    return this.tcp.port;
  }

  get sockets(): readonly Socket[] {
    return this.tcp.sockets;
  }

  framesOf(index: number): RawFrame[] {
    const bytes = Buffer.from(this.tcp.received(index) ?? '', 'latin1');
    const frames = [];
    for (let at = rawPreface.length; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
      const payload = bytes.subarray(at + 9, at + 9 + bytes.readUIntBE(at, 3));
      frames.push({
        type: bytes[at + 3]!,
        flags: bytes[at + 4]!,
        streamId: bytes.readUInt32BE(at + 5),
        payload,
      });
    }
    return frames;
  }

  /** The paths of its requests, in the order in which they came. */
  requestsOf(index: number): (string | undefined)[] {
    const decoder = new HpackDecoder(4096, { maxListBytes: 65_536, maxFields: 100 });
    return this.framesOf(index)
      .filter(({ type }) => type === 1)
      .map(({ payload }) => decoder.decode(payload, 0, payload.length))
      .map((fields) => fields?.find(({ name }) => name === ':path')?.value);
  }

  /** The connection, once it has such SETTINGS and has sent a request. */
  async settled(index: number, settings = rawSettings()): Promise<Socket> {
    const socket = await eventually('the connection', () => this.sockets[index]);
    socket.write(settings);
    await eventually('the request', () => this.requestsOf(index).length > 0);
    return socket;
  }

  /** The first frame of that type. */
  frame(index: number, type: number): Promise<RawFrame> {
    return eventually(`a frame of type ${type}`, () =>
      this.framesOf(index).find((frame) => frame.type === type),
    );
  }

  /** The code of GOAWAY. */
  async goaway(index: number): Promise<number> {
    return (await this.frame(index, 7)).payload.readUInt32BE(4);
  }

  /** The code of the first RST_STREAM. */
  async resetCode(index: number): Promise<number> {
    return (await this.frame(index, 3)).payload.readUInt32BE(0);
  }

  stop(): Promise<void> {
    return this.tcp.stop();
  }
}

/** So many of them, h2c, behind a proxy that stops them too: one is `origin`. */
export async function proxiedRawHttp2(
  settings: Partial<OriginSettings> = {},
  { addresses = 1, clock = systemClock }: { readonly addresses?: number; readonly clock?: Clock } = {},
): Promise<{
  readonly here: Proxied;
  readonly origin: RawHttp2Origin;
  readonly origins: readonly RawHttp2Origin[];
}> {
  const origins = await Promise.all(Array.from({ length: addresses }, () => RawHttp2Origin.open()));
  const ports = origins.map(({ port }) => port);
  const here = await proxied(() => {}, {
    routes: () => tableTo(ports, { protocol: 'h2c', ...settings }),
    clock,
  });
  const stop = async (): Promise<void> => {
    await here.stop();
    for (const origin of origins) await origin.stop();
  };
  return { here: { ...here, stop }, origin: origins[0]!, origins };
}
