// Protobuf on the wire, without knowing what it means: messages whose fields are changed, so that they still decode or nearly.

const [VARINT, FIXED64, BYTES, GROUP, END_GROUP, FIXED32] = [0, 1, 2, 3, 4, 5];
const MAX_VARINT_BYTES = 10;
const HUGE = [
  0n,
  1n,
  0x7fn,
  0x80n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];
const DEEP = 2_000;
/** Messages are not repeated beyond this. */
const MAX_REPEATED_BYTES = 64 * 1024;

/** A changed copy of a message. */
export function mutateProtobuf(random, bytes) {
  let changed = bytes;
  for (let left = random.between(1, 3); left > 0; left -= 1) changed = mutateMessage(random, changed);
  return changed;
}

function mutateMessage(random, bytes) {
  const fields = parse(bytes);
  if (fields === undefined || fields.length === 0) return Buffer.concat([bytes, randomField(random)]);
  const at = random.below(fields.length);
  const field = fields[at];
  const inner = field.type === BYTES ? parse(field.value) : undefined;
  if (inner !== undefined && inner.length > 0 && random.chance(0.6)) {
    return encode(fields.with(at, { ...field, value: mutateMessage(random, field.value) }));
  }
  return random.weighted([
    [2, () => encode(fields.toSpliced(at, 1))],
    [2, () => encode(fields.toSpliced(at, 0, field))],
    [2, () => encode(fields.with(at, { ...field, number: random.pick([0, 1, 2, 3, 5, 15, 16, 2047, 536870911]) }))],
    [3, () => encode(fields.with(at, { ...field, value: otherValue(random, field) }))],
    [2, () => encode(fields.with(at, retyped(random, field)))],
    [1, () => encode(fields.toReversed())],
    [1, () => Buffer.concat([bytes, randomField(random)])],
    [1, () => encode(fields.with(at, { ...field, length: random.pick([0, 1, 200, 2 ** 31 - 1, 2 ** 32 - 1]) }))],
    [0.3, () => encode(fields.with(at, { number: field.number, type: BYTES, value: nested(field.number) }))],
    [0.3, () => repeated(encode([field]))],
  ])();
}

function repeated(bytes) {
  return Buffer.concat(
    Array.from({ length: Math.min(1000, Math.ceil(MAX_REPEATED_BYTES / bytes.length)) }, () => bytes),
  );
}

function otherValue(random, { type, value }) {
  if (type === VARINT) return random.chance(0.7) ? random.pick(HUGE) : BigInt(random.below(1000));
  if (type !== BYTES) return random.bytes(value.length);
  return random.pick([
    Buffer.alloc(0),
    random.bytes(random.below(40)),
    Buffer.from(random.text(20)),
    Buffer.from('__proto__'),
    Buffer.from('c32822', 'hex'),
    Buffer.concat([value, value]),
    value.subarray(0, -1),
    Buffer.alloc(10_000, 0x61),
  ]);
}

function retyped(random, { number, type }) {
  const other = random.pick([VARINT, FIXED64, BYTES, GROUP, END_GROUP, FIXED32, 6, 7].filter((each) => each !== type));
  if (other === VARINT) return { number, type: other, value: random.pick(HUGE) };
  if (other === BYTES) return { number, type: other, value: random.bytes(random.below(20)) };
  return { number, type: other, value: random.bytes(other === FIXED64 ? 8 : other === FIXED32 ? 4 : 0) };
}

function randomField(random) {
  const type = random.pick([VARINT, BYTES, FIXED32, FIXED64, GROUP, END_GROUP, 6]);
  const value = type === VARINT ? random.pick(HUGE) : random.bytes(random.pick([0, 4, 8, 30]));
  return encode([{ number: random.between(0, 20), type, value }]);
}

/** A message in itself, again and again. */
function nested(number) {
  let bytes = Buffer.alloc(0);
  for (let level = 0; level < DEEP; level += 1) bytes = encode([{ number, type: BYTES, value: bytes }]);
  return bytes;
}

/** Undefined: these bytes are no message. */
function parse(bytes) {
  const fields = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = readVarint(bytes, at);
    if (tag === undefined || tag.value >> 3n === 0n) return undefined;
    at = tag.end;
    const [number, type] = [Number(tag.value >> 3n), Number(tag.value & 7n)];
    if (type === VARINT) {
      const varint = readVarint(bytes, at);
      if (varint === undefined) return undefined;
      fields.push({ number, type, value: varint.value });
      at = varint.end;
      continue;
    }
    const head = type === BYTES ? readVarint(bytes, at) : undefined;
    const size = type === FIXED64 ? 8 : type === FIXED32 ? 4 : Number(head?.value ?? NaN);
    const start = head?.end ?? at;
    if (!(start + size <= bytes.length)) return undefined;
    fields.push({ number, type, value: bytes.subarray(start, start + size) });
    at = start + size;
  }
  return fields;
}

function readVarint(bytes, from) {
  let value = 0n;
  for (let at = from; at < bytes.length && at - from < MAX_VARINT_BYTES; at += 1) {
    value |= BigInt(bytes[at] & 0x7f) << BigInt(7 * (at - from));
    if (bytes[at] < 0x80) return { value, end: at + 1 };
  }
  return undefined;
}

function encode(fields) {
  const pieces = fields.flatMap(({ number, type, value, length }) => {
    const tag = varint((BigInt(number) << 3n) | BigInt(type));
    if (type === VARINT) return [tag, varint(value)];
    return type === BYTES ? [tag, varint(BigInt(length ?? value.length)), value] : [tag, value];
  });
  return Buffer.concat(pieces);
}

function varint(value) {
  const bytes = [];
  let rest = BigInt.asUintN(64, value);
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
  } while (rest > 0n);
  return Buffer.from(bytes);
}
