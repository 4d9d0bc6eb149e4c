// Bytes that were good and no longer are.

const LENGTHS = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];
const MAX_GROWN_BYTES = 64 * 1024;

/** @param count - of changes at most. */
export function mutateBytes(random, bytes, count = 4) {
  let changed = Buffer.from(bytes);
  for (let left = random.between(1, count); left > 0; left -= 1) changed = mutateOnce(random, changed);
  return changed;
}

function mutateOnce(random, bytes) {
  const at = random.below(bytes.length + 1);
  const end = Math.min(bytes.length, at + random.between(1, 16));
  return random.weighted([
    [4, () => replaced(bytes, at, at + 1, Buffer.of((bytes[at] ?? 0) ^ (1 << random.below(8))))],
    [2, () => replaced(bytes, at, at + 1, Buffer.of(random.below(256)))],
    [2, () => replaced(bytes, at, end, Buffer.alloc(0))],
    [2, () => replaced(bytes, at, at, random.bytes(random.between(1, 16)))],
    [1, () => replaced(bytes, at, at, bytes.subarray(at, end))],
    [1, () => bytes.subarray(0, at)],
    [1, () => bytes.subarray(at)],
    [1, () => replaced(bytes, at, at + 4, word(random, 'LE'))],
    [1, () => replaced(bytes, at, at + 4, word(random, 'BE'))],
    [1, () => Buffer.concat([bytes, bytes]).subarray(0, MAX_GROWN_BYTES + bytes.length)],
    [1, () => replaced(bytes, at, end, Buffer.alloc(end - at, random.pick([0, 0xff, 0x80])))],
    [1, () => Buffer.concat([bytes, random.bytes(random.below(64))])],
  ])();
}

function replaced(bytes, from, to, by) {
  return Buffer.concat([bytes.subarray(0, from), by, bytes.subarray(to)]);
}

function word(random, order) {
  const bytes = Buffer.alloc(4);
  bytes[`writeUInt32${order}`](random.pick(LENGTHS), 0);
  return bytes;
}
