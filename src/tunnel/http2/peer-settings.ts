import { maxWindowBytes } from '../wire/flow-window.ts';
import { broken, Http2ConnectionError, http2Error } from '../wire/http2-errors.ts';
import { defaultMaxFrameBytes, largestMaxFrameBytes, readUint32, setting } from '../wire/http2-frames.ts';
import type { Role } from './role.ts';
import type { Http2Stream } from './stream.ts';
import type { StreamTable } from './stream-table.ts';

/** Applies the peer's settings in `source[start, end)` in their order (RFC 9113, section 6.5). */
export function applySettings<S extends Http2Stream>(
  source: Buffer,
  start: number,
  end: number,
  streams: StreamTable<S>,
  role: Role<S>,
): void {
  for (let at = start; at < end; at += 6) {
    apply((source[at]! << 8) | source[at + 1]!, readUint32(source, at + 2), streams, role);
  }
}

function apply<S extends Http2Stream>(
  id: number,
  value: number,
  streams: StreamTable<S>,
  role: Role<S>,
): void {
  const { sender } = streams;
  switch (id) {
    case setting.headerTableSize:
      sender.setPeerTableBytes(value);
      break;
    case setting.initialWindowSize:
      if (value > maxWindowBytes || !sender.setInitialWindow(value, streams.sendingHalves())) {
        throw new Http2ConnectionError(http2Error.flowControlError, `INITIAL_WINDOW_SIZE is ${value}`);
      }
      break;
    case setting.maxFrameSize:
      if (value < defaultMaxFrameBytes || value > largestMaxFrameBytes) {
        throw broken(`MAX_FRAME_SIZE is ${value}`);
      }
      sender.setMaxFrameBytes(value);
      break;
    case setting.maxHeaderListSize:
      sender.setMaxHeaderListBytes(value);
      break;
    default:
      role.setting(id, value);
  }
}
