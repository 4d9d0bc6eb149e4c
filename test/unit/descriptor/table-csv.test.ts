import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Table, table, type ColumnTypes } from '#dist/service/index.js';
import { tables } from './table-arbitraries.js';

const COLUMNS = { name: 'string', age: 'int32', big: 'int64', x: 'float64', ok: 'bool' } as const;

async function read(csv: string | Uint8Array, columns?: ColumnTypes, maxRows?: number): Promise<Table> {
  const described = table({ ...(columns !== undefined && { columns }), ...(maxRows !== undefined && { maxRows }) });
  const bytes = typeof csv === 'string' ? Buffer.from(csv) : csv;
  const value = await described.media?.read({ mediaType: 'text/csv', bytes });
  return value as Table;
}

async function write(value: Table): Promise<string> {
  const media = await table().media?.write(value, 'text/csv');
  assert.deepEqual([media?.mediaType, media?.parameters], ['text/csv', { charset: 'utf-8', header: 'present' }]);
  return Buffer.from(media?.bytes ?? []).toString();
}

test('table() reads CSV by its header, in any order of columns', async () => {
  const csv = 'age,name,ok,x,big\n5,Ann,true,1.5,9007199254740993\n-6,"Bo, ""the""\nbear",FALSE,,-1\n';
  assert.deepEqual(
    await read(csv, COLUMNS),
    Table.fromRows(COLUMNS, [
      { name: 'Ann', age: 5, big: 2n ** 53n + 1n, x: 1.5, ok: true },
      { name: 'Bo, "the"\nbear', age: -6, big: -1n, x: NaN, ok: false },
    ]),
  );
});

test('table() reads CSV with a byte order mark, CR LF, spaces around numbers, blank lines, and no last line end', async () => {
  const columns = { a: 'float64', b: 'int32' } as const;
  const wanted = Table.fromRows(columns, [
    { a: 1.5e3, b: 2 },
    { a: NaN, b: -3 },
  ]);
  assert.deepEqual(await read('\ufeffa,b\r\n 1.5e3 , 2\r\n\r\nNaN,-3', columns), wanted);
});

test('table() without columns reads CSV as texts, which stay as they are', async () => {
  const read007 = await read('zip,name\n007,\n" 1 ",x\n');
  assert.deepEqual(read007.types, { zip: 'string', name: 'string' });
  assert.deepEqual(read007.columns, { zip: ['007', ' 1 '], name: ['', 'x'] });
  assert.equal((await read('a,b\n')).rows, 0);
});

for (const [what, csv, message] of [
  ['nothing', '', /its CSV is empty: wanted a line with the names/],
  ['a line with fewer fields', 'a,b\n1,2\n3\n', /line 3 has 1 fields, the header has 2/],
  ['a line with more fields', 'a,b\n1,2,3\n', /line 2 has 3 fields, the header has 2/],
  ['a quote that is not closed', 'a,b\n1,"2\n', /line \d: Quote Not Closed/],
  ['a quote in the middle', 'a,b\n1,x"2"\n', /line 2: Invalid Opening Quote/],
  ['a column that is there twice', 'a,a\n1,2\n', /the column "a" is there twice/],
  ['a column without a name', 'a,\n1,2\n', /a column has the name ""/],
  ['a column named __proto__', 'a,__proto__\n1,2\n', /a column has the name "__proto__"/],
  ['bytes that are no UTF-8', Uint8Array.of(0x61, 0x0a, 0xff), /its CSV is not UTF-8/],
] as const) {
  test(`table() refuses CSV of ${what}`, async () => {
    await assert.rejects(read(csv), { code: 'INVALID_INPUT', message });
  });
}

for (const [what, line, message] of [
  ['a text for a number', 'x,1,1,true', /line 3, column "age" must be a whole number from -2147483648.*, got "x"/],
  ['nothing for a whole number', ',1,1,true', /column "age" .*, got ""/],
  ['a fraction for a whole number', '1.0,1,1,true', /column "age" .*, got "1.0"/],
  ['a number beyond int32', '2147483648,1,1,true', /column "age" .*, got "2147483648"/],
  ['a number beyond int64', '1,9223372036854775808,1,true', /column "big"/],
  ['a hexadecimal number', '1,1,0x1,true', /column "x" must be a finite number, or null, got "0x1"/],
  ['an infinity', '1,1,Infinity,true', /column "x"/],
  ['a number that is an infinity', '1,1,1e999,true', /column "x"/],
  ['a word for a boolean', '1,1,1,yes', /column "ok" must be true or false, got "yes"/],
] as const) {
  test(`table() refuses CSV with ${what}, naming line, column and value`, async () => {
    const columns = { age: 'int32', big: 'int64', x: 'float64', ok: 'bool' } as const;
    await assert.rejects(read(`age,big,x,ok\n1,2,3,0\n${line}\n`, columns), { code: 'INVALID_INPUT', message });
  });
}

test('table() refuses CSV that lacks a column or has one too many', async () => {
  await assert.rejects(read('a\n1\n', { a: 'int32', b: 'int32' }), { code: 'INVALID_INPUT', message: /no column "b"/ });
  await assert.rejects(read('a,b\n1,2\n', { a: 'int32' }), {
    code: 'INVALID_INPUT',
    message: /a column "b"; the columns are a$/,
  });
});

test('table() refuses CSV of more rows than it was told', async () => {
  await assert.rejects(read('a\n1\n2\n3\n', { a: 'int32' }, 2), {
    code: 'TOO_LARGE',
    message: /3 rows: wanted at most 2/,
  });
  assert.equal((await read('a\n1\n2\n', { a: 'int32' }, 2)).rows, 2);
});

test('table() refuses CSV of another charset, and other media types', async () => {
  const bytes = Buffer.from('a\n1\n');
  const form = table().media;
  const latin = { mediaType: 'text/csv', bytes, parameters: { charset: 'latin1' } };
  await assert.rejects(async () => form?.read(latin), { code: 'UNSUPPORTED_MEDIA', message: /charset "latin1"/ });
  for (const mediaType of ['', 'text/plain', 'application/vnd.apache.parquet']) {
    const reading = async (): Promise<unknown> => form?.read({ mediaType, bytes });
    await assert.rejects(reading, { code: 'UNSUPPORTED_MEDIA', message: /wanted text\/csv or/ });
  }
});

test('table() writes CSV with a header, quoting what needs it', async () => {
  const value = Table.fromRows(COLUMNS, [
    { name: 'Ann', age: 5, big: -(2n ** 63n), x: 0.1, ok: true },
    { name: 'a "b",\n', age: 6, big: 1, x: null, ok: false },
  ]);
  assert.equal(
    await write(value),
    'name,age,big,x,ok\nAnn,5,-9223372036854775808,0.1,true\n"a ""b"",\n",6,1,"",false\n',
  );
});

test('a table survives CSV', async () => {
  await fc.assert(
    fc.asyncProperty(tables(), async (given) => {
      assert.deepEqual(await read(await write(given), given.types), given);
    }),
  );
});

test('a table of many slices survives CSV, and others have their turn while it is read and written', async () => {
  const count = 20_000;
  const columns = { i: 'int32', text: 'string' } as const;
  const text = Array.from({ length: count }, (_, i) => `${'ü'.repeat(i % 7)}"${i}`);
  const given = new Table(columns, { i: Int32Array.from(text.keys()), text });
  let turns = 0;
  const ticking = setInterval(() => (turns += 1), 0);
  try {
    const csv = await write(given);
    const turnsOfWriting = turns;
    assert.ok(turnsOfWriting > 0, 'nobody had a turn while it was written');
    assert.deepEqual(await read(csv, columns), given);
    assert.ok(turns > turnsOfWriting, 'nobody had a turn while it was read');
  } finally {
    clearInterval(ticking);
  }
});

test('table() stops reading CSV at the first line that does not fit', async () => {
  const csv = Buffer.from(`a\nx\n${'1\n'.repeat(500_000)}`);
  await assert.rejects(read(csv, { a: 'int32' }), { code: 'INVALID_INPUT', message: /line 2, column "a"/ });
});
