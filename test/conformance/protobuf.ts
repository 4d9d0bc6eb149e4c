/** The wire format of protobuf, by hand: for messages that no encoder makes. */

const LENGTH_DELIMITED = 2;

/** One field that holds bytes: a string, a message, a packed list. */
export function field(number: number, content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([head(number, bytes.length), bytes]);
}

/** `levels` messages, each the field `numbers[i % numbers.length]` of the one around it; `core` is the innermost. */
export function nest(levels: number, numbers: readonly number[], core: Uint8Array): Buffer {
  const heads: Buffer[] = [];
  let length = core.length;
  for (let level = levels - 1; level >= 0; level -= 1) {
    const around = head(numbers[level % numbers.length] as number, length);
    heads.push(around);
    length += around.length;
  }
  return Buffer.concat([...heads.reverse(), core]);
}

function head(number: number, length: number): Buffer {
  return Buffer.from([...varint((number << 3) | LENGTH_DELIMITED), ...varint(length)]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}
