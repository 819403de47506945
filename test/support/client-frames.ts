/** Frames as a WebSocket client sends them (RFC 6455, section 5.2), right or wrong, and a server's frames read. */
export interface FrameParts {
  readonly opcode: number;
  readonly payload?: Uint8Array;
  readonly final?: boolean;
  /** Null: not masked, which no client may. */
  readonly mask?: readonly [number, number, number, number] | null;
  readonly reserved?: number;
}

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export function clientFrame({
  opcode,
  payload = new Uint8Array(),
  final = true,
  mask = [0x37, 0xfa, 0x21, 0x3d],
  reserved = 0,
}: FrameParts): Buffer {
  const size = payload.length;
  const extended = Buffer.alloc(size < 126 ? 0 : size < 65_536 ? 2 : 8);
  if (extended.length === 2) extended.writeUInt16BE(size);
  if (extended.length === 8) extended.writeBigUInt64BE(BigInt(size));
  const first = (final ? 0x80 : 0) | (reserved << 4) | opcode;
  const second =
    (mask === null ? 0 : 0x80) | (extended.length === 0 ? size : extended.length === 2 ? 126 : 127);
  const body = mask === null ? payload : payload.map((byte, index) => byte ^ mask[index % 4]!);
  return Buffer.concat([Buffer.from([first, second]), extended, Buffer.from(mask ?? []), body]);
}

export function binaryMessage(payload: Uint8Array): Buffer {
  return clientFrame({ opcode: opcodes.binary, payload });
}

export interface ServerFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** The whole frames at the start of `bytes`, and what is left. Throws where a server broke the rules. */
export function readServerFrames(bytes: Buffer): { readonly frames: ServerFrame[]; readonly rest: Buffer } {
  const frames: ServerFrame[] = [];
  let rest = bytes;
  while (rest.length >= 2) {
    const size = rest[1]!;
    if (size > 127) throw new Error('a server frame is masked');
    if ((rest[0]! & 0xf0) !== 0x80) throw new Error('a server frame is fragmented or has reserved bits');
    const headBytes = size < 126 ? 2 : size === 126 ? 4 : 10;
    if (rest.length < headBytes) break;
    const length = size < 126 ? size : size === 126 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2));
    if (rest.length < headBytes + length) break;
    frames.push({ opcode: rest[0]! & 0x0f, payload: rest.subarray(headBytes, headBytes + length) });
    rest = rest.subarray(headBytes + length);
  }
  return { frames, rest };
}
