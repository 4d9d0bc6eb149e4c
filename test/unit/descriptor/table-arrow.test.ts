import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as arrow from 'apache-arrow';
import fc from 'fast-check';
import { Table, table, type ColumnTypes } from '#dist/service/index.js';
import { tables } from './table-arbitraries.js';

const STREAM = 'application/vnd.apache.arrow.stream';
const FILE = 'application/vnd.apache.arrow.file';

async function read(bytes: Uint8Array, columns?: ColumnTypes, mediaType = STREAM): Promise<Table> {
  const described = table(columns === undefined ? {} : { columns });
  return (await described.media?.read({ mediaType, bytes })) as Table;
}

function ipc(vectors: Readonly<Record<string, arrow.Vector>>): Uint8Array {
  return arrow.tableToIPC(new arrow.Table(vectors as never), 'stream');
}

test('table() reads and writes Arrow, as stream and as file', async () => {
  const form = table().media;
  assert.deepEqual(form?.accepts, ['text/csv', STREAM, FILE]);
  assert.deepEqual(form.gives, form.accepts);
  await fc.assert(
    fc.asyncProperty(tables(), fc.constantFrom(STREAM, FILE), async (given, mediaType) => {
      const media = await form.write(given, mediaType);
      assert.equal(media.mediaType, mediaType);
      assert.deepEqual(await read(media.bytes, given.types, mediaType), given);
    }),
  );
});

test('table() takes the types of the Arrow data where it has no columns', async () => {
  const types = { s: 'string', b: 'bool', i: 'int32', l: 'int64', f: 'float32', d: 'float64' } as const;
  const given = Table.fromRows(types, [{ s: 'ü', b: true, i: -1, l: 2n ** 62n, f: 0.5, d: 0.1 }]);
  const { bytes } = (await table().media?.write(given, STREAM)) ?? { bytes: new Uint8Array() };
  assert.deepEqual(await read(bytes), given);
});

test('table() reads dictionaries, small integers, float16, and null as NaN', async () => {
  const bytes = ipc({
    word: arrow.vectorFromArray(['x', 'y', 'x']),
    u8: arrow.vectorFromArray([0, 255, 7], new arrow.Uint8()),
    u32: arrow.vectorFromArray([0, 4294967295, 7], new arrow.Uint32()),
    half: arrow.vectorFromArray([0.5, 1, 2], new arrow.Float16()),
    gap: arrow.vectorFromArray([0.5, null, 2], new arrow.Float64()),
  });
  const value = await read(bytes);
  assert.deepEqual(value.types, { word: 'string', u8: 'int32', u32: 'int64', half: 'float32', gap: 'float64' });
  assert.deepEqual(value.columns, {
    word: ['x', 'y', 'x'],
    u8: Int32Array.of(0, 255, 7),
    u32: BigInt64Array.of(0n, 4294967295n, 7n),
    half: Float32Array.of(0.5, 1, 2),
    gap: Float64Array.of(0.5, NaN, 2),
  });
});

test('table() converts Arrow columns to its own where nothing is lost', async () => {
  const bytes = ipc({
    a: arrow.vectorFromArray([1n, 2n], new arrow.Int64()),
    b: arrow.vectorFromArray([3, 4], new arrow.Float64()),
  });
  assert.deepEqual((await read(bytes, { a: 'int32', b: 'int64' })).columns, {
    a: Int32Array.of(1, 2),
    b: BigInt64Array.of(3n, 4n),
  });
  assert.deepEqual((await read(bytes, { a: 'float64', b: 'float32' })).columns, {
    a: Float64Array.of(1, 2),
    b: Float32Array.of(3, 4),
  });
});

const WHOLE = ipc({ a: arrow.vectorFromArray([1n, 2n ** 60n + 1n], new arrow.Int64()) });

for (const [what, bytes, columns, message] of [
  ['nothing', new Uint8Array(0), undefined, /it has no schema/],
  ['bytes that are no Arrow', Buffer.from('a,b\n1,2\nthis is CSV'), undefined, /there is no message at byte 0/],
  ['half a stream', WHOLE.subarray(0, WHOLE.length - 40), undefined, /it is cut off/],
  [
    'a value that its column cannot hold',
    WHOLE,
    { a: 'int32' },
    /\/1\/a must be a whole number.*, got 1152921504606846977/,
  ],
  [
    'a value that would be rounded',
    WHOLE,
    { a: 'float64' },
    /\/1\/a must be a finite number, or null, got 1152921504606846977/,
  ],
  ['a column of another kind', WHOLE, { a: 'string' }, /\/0\/a must be a text, got 1/],
  ['another column', WHOLE, { b: 'int64' }, /no column "b"/],
  [
    'null in a column of whole numbers',
    ipc({ a: arrow.vectorFromArray([1, null], new arrow.Int32()) }),
    undefined,
    /\/1\/a .*, got null/,
  ],
  [
    'an infinity',
    ipc({ a: arrow.vectorFromArray([Infinity], new arrow.Float64()) }),
    undefined,
    /\/0\/a .*, got Infinity/,
  ],
  ['dates', ipc({ a: arrow.vectorFromArray([new Date(0)]) }), undefined, /column "a" is of type Timestamp: wanted/],
  ['an integer beyond int64', ipc({ a: arrow.vectorFromArray([2n ** 63n], new arrow.Uint64()) }), undefined, /\/0\/a/],
] as const) {
  test(`table() refuses Arrow of ${what}`, async () => {
    await assert.rejects(read(bytes, columns), { code: 'INVALID_INPUT', message });
  });
}

test('table() refuses Arrow of more rows than it was told', async () => {
  const reading = table({ maxRows: 1 }).media?.read({ mediaType: STREAM, bytes: WHOLE });
  await assert.rejects(async () => reading, { code: 'TOO_LARGE', message: /2 rows: wanted at most 1/ });
});

test('table() refuses Arrow that claims more values than so few bytes should have', async () => {
  const data = arrow.makeData({ type: new arrow.Bool(), length: 2 ** 27, data: new Uint8Array(2 ** 24) });
  await assert.rejects(read(ipc({ bits: new arrow.Vector([data]) })), {
    code: 'TOO_LARGE',
    message: /more than 134217728 values in 16777\d+ bytes/,
  });
});

const SOUND = new arrow.Table({
  s: arrow.vectorFromArray(['a', 'bc', 'def'], new arrow.Utf8()),
  w: arrow.vectorFromArray(['x', 'y', 'x']),
  b: arrow.vectorFromArray([true, false, true], new arrow.Bool()),
  d: arrow.vectorFromArray([1, null, 3], new arrow.Float64()),
  l: arrow.vectorFromArray([1n, 2n, 3n], new arrow.Int64()),
});
const SOUND_BYTES = [arrow.tableToIPC(SOUND, 'stream'), arrow.tableToIPC(SOUND, 'file')];

/** A table, or INVALID_INPUT. */
async function readDamaged(bytes: Uint8Array): Promise<void> {
  try {
    assert.ok((await read(bytes)).rows <= bytes.byteLength * 8);
  } catch (thrown) {
    assert.equal((thrown as { code?: string }).code, 'INVALID_INPUT', String((thrown as Error).stack));
  }
}

test('a large table survives Arrow, and others have their turn while it is read', async () => {
  const columns = { i: 'int32', text: 'string', ok: 'bool' } as const;
  const i = Int32Array.from({ length: 200_000 }, (_, at) => at);
  const text = Array.from(i, (at) => `ü${at}`);
  const given = new Table(columns, { i, text, ok: Array.from(i, (at) => at % 3 === 0) });
  const media = await table().media?.write(given, STREAM);
  let turns = 0;
  const ticking = setInterval(() => (turns += 1), 0);
  try {
    assert.deepEqual(await read(media?.bytes ?? new Uint8Array()), given);
    assert.ok(turns > 0, 'nobody had a turn while it was read');
  } finally {
    clearInterval(ticking);
  }
});

test('Arrow with any byte changed is a table or INVALID_INPUT', async () => {
  for (const sound of SOUND_BYTES) {
    for (let at = 0; at < sound.length; at += 1) {
      for (const value of [0, 1, 2, 0x7f, 0x80, 0xff]) {
        const bytes = sound.slice();
        bytes[at] = value;
        await readDamaged(bytes);
      }
    }
  }
});

test('Arrow with several bytes changed, or cut off anywhere, is a table or INVALID_INPUT', async () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...SOUND_BYTES), changes, fc.nat(), async (sound, changed, length) => {
      const bytes = sound.slice();
      for (const [at, value] of changed) bytes[at % bytes.length] = value;
      await readDamaged(bytes);
      await readDamaged(bytes.subarray(0, length % bytes.length));
    }),
    { numRuns: 2000 },
  );
});
