import type { Random } from './random.ts';

/** HPACK written by hand (RFC 7541), so that it can say what our own encoder never would. */

export type Field = readonly [name: string, value: string];

/** A literal with both strings given; `indexed` puts it into the table of the peer. */
export function literal([name, value]: Field, indexed = false): Buffer {
  return Buffer.concat([Buffer.of(indexed ? 0x40 : 0), text(name), text(value)]);
}

/** Any of the representations, of which some are wrong. */
export function anyRepresentation(random: Random, field: Field): Buffer {
  switch (random.below(8)) {
    case 0:
      return integer(0x80, 7, random.pick([0, 1, 2, 61, 62, 63, 70, 130, 2 ** 21, 2 ** 28]));
    case 1:
      return Buffer.concat([integer(0x40, 6, random.pick([1, 4, 61, 62, 64])), text(field[1])]);
    case 2:
      return Buffer.concat([integer(0x10, 4, random.pick([1, 15, 62, 200])), text(field[1])]);
    case 3:
      return integer(0x20, 5, random.pick([0, 31, 100, 4096, 4097, 2 ** 27]));
    case 4: {
      const huffman = random.bytes(random.below(30));
      return Buffer.concat([Buffer.of(0x40), text(field[0]), integer(0x80, 7, huffman.length), huffman]);
    }
    default:
      return literal(field, random.oneIn(2));
  }
}

function text(latin1: string): Buffer {
  const bytes = Buffer.from(latin1, 'latin1');
  return Buffer.concat([integer(0, 7, bytes.length), bytes]);
}

/** RFC 7541, section 5.1. */
function integer(first: number, prefixBits: number, value: number): Buffer {
  const limit = 2 ** prefixBits - 1;
  if (value < limit) return Buffer.of(first | value);
  const bytes = [first | limit];
  let rest = value - limit;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(128 + (rest % 128));
  return Buffer.from([...bytes, rest]);
}
