import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Table, table, type ColumnTypes } from '#dist/service/index.js';
import { decodeValue, encodeValue } from '#dist/tensor/index.js';
import { tables, TYPES } from './table-arbitraries.js';

const PEOPLE = { name: 'string', age: 'int32', id: 'int64', height: 'float64', member: 'bool' } as const;
const ROWS = [
  { name: 'Ann', age: 5, id: 1, height: 1.5, member: true },
  { name: 'Bo', age: 6, id: '9007199254740993', height: null, member: false },
];

function bytesOf({ head, parts }: ReturnType<typeof encodeValue>): Uint8Array {
  return Buffer.concat([head, ...parts]);
}

test('Table holds columns of typed arrays and lists, and gives its rows', () => {
  const people = Table.fromRows(PEOPLE, [...ROWS, { name: 'Ann', age: 5, id: 2n, height: 1.5, member: true }]);
  assert.equal(people.rows, 3);
  const age: Int32Array = people.columns.age;
  const id: BigInt64Array = people.columns.id;
  const names: readonly string[] = people.columns.name;
  assert.deepEqual(
    [names, age, id],
    [['Ann', 'Bo', 'Ann'], Int32Array.of(5, 6, 5), BigInt64Array.of(1n, 2n ** 53n + 1n, 2n)],
  );
  assert.deepEqual(people.toRows()[1], { name: 'Bo', age: 6, id: 2n ** 53n + 1n, height: NaN, member: false });
  assert.throws(() => Object.assign(people.columns, { age }), TypeError);
});

for (const [what, make, message] of [
  [
    'a column of another type',
    () => new Table({ a: 'int32' }, { a: new Float32Array(1) as never }),
    /"a" is no int32 column/,
  ],
  [
    'a list with a stranger in it',
    () => new Table({ a: 'string' }, { a: ['x', 5 as never] }),
    /"a" is no string column/,
  ],
  [
    'columns of different length',
    () => new Table({ a: 'bool', b: 'bool' }, { a: [true], b: [] }),
    /"b" has 0 rows, "a" has 1/,
  ],
  ['a missing column', () => new Table({ a: 'bool' }, {} as never), /"a" is no bool column/],
  ['a column without a type', () => new Table({}, { a: [true] }), /"a" has no type/],
  ['a column without a name', () => new Table({ '': 'bool' }, { '': [] }), /a column has the name ""/],
  [
    'a column named __proto__',
    () => new Table({ ['__proto__']: 'bool' }, { ['__proto__']: [] }),
    /the name "__proto__"/,
  ],
] as const) {
  test(`Table refuses ${what}`, () => {
    assert.throws(make, { code: 'INVALID_INPUT', message });
  });
}

test('table() reads rows, reads columns, and writes rows', () => {
  const described = table({ columns: PEOPLE });
  const people = described.fromJson(ROWS);
  assert.deepEqual(described.toJson(people), ROWS);
  assert.deepEqual(described.fromJson(people.toJSON()), people);
  assert.deepEqual(described.fromJson(JSON.parse(JSON.stringify(people))), people);
  assert.deepEqual(described.fromJson([]).columns.id, new BigInt64Array(0));
});

test('table() without columns takes what JSON has: texts, float64, booleans', () => {
  const read = table().fromJson([
    { a: null, b: 'x', c: true },
    { a: 7, b: 'y', c: false },
  ]);
  assert.deepEqual(read.types, { a: 'float64', b: 'string', c: 'bool' });
  assert.deepEqual(read.columns['a'], Float64Array.of(NaN, 7));
  assert.deepEqual(table().fromJson({ a: [null, 7], b: ['x', 'y'], c: [true, false] }), read);
  assert.deepEqual(table().fromJson([]).types, {});
  assert.deepEqual(table().fromJson({ a: [null] }).types, { a: 'float64' });
});

const FIVE = Object.fromEntries(TYPES.map((type) => [type, type]));

for (const [what, json, message] of [
  ['a text', 'a,b', /\/ must be a list of rows, or an object with a list per column, got "a,b"/],
  ['a row that is a list', [[1]], /\/0 must be an object with a value per column, got a list of 1/],
  ['a row that lacks a column', [{ name: 'Ann' }], /row 0 has no "age"/],
  ['a row with a column too many', [{ ...ROWS[0], more: 1 }], /row 0 has a column "more"; the columns are name, age/],
  [
    'a text for a number',
    [ROWS[0], { ...ROWS[0], age: '5' }],
    /\/1\/age must be a whole number from -2147483648.*, got "5"/,
  ],
  ['a fraction for a whole number', [{ ...ROWS[0], age: 5.5 }], /\/0\/age must be a whole number.*, got 5.5/],
  ['a number beyond int32', [{ ...ROWS[0], age: 2 ** 31 }], /\/0\/age .*, got 2147483648/],
  [
    'an inexact 64-bit number',
    [{ ...ROWS[0], id: 2 ** 53 }],
    /\/0\/id .* \(in JSON as text beyond 2\^53\), got 9007199254740992/,
  ],
  ['a number beyond int64', [{ ...ROWS[0], id: '9223372036854775808' }], /\/0\/id .*, got "9223372036854775808"/],
  ['a text that is no number', [{ ...ROWS[0], id: '0x10' }], /\/0\/id .*, got "0x10"/],
  ['null for a whole number', [{ ...ROWS[0], age: null }], /\/0\/age .*, got null/],
  ['null for a text', [{ ...ROWS[0], name: null }], /\/0\/name must be a text, got null/],
  ['0 for a boolean', [{ ...ROWS[0], member: 0 }], /\/0\/member must be true or false, got 0/],
  ['an infinity', [{ ...ROWS[0], height: Infinity }], /\/0\/height must be a finite number, or null, got Infinity/],
  [
    'columns of different length',
    { name: ['a'], age: [], id: [], height: [], member: [] },
    /"age" has 0 rows, "name" has 1/,
  ],
  ['a column that is no list', { name: 'a', age: [], id: [], height: [], member: [] }, /\/name must be a list/],
  ['a missing column', { name: ['a'] }, /it has no "age"/],
  [
    'a wrong value in a column',
    { name: ['a', 5], age: [], id: [], height: [], member: [] },
    /\/name\/1 must be a text, got 5/,
  ],
] as const) {
  test(`table() refuses ${what}, naming place, value and wish`, () => {
    assert.throws(() => table({ columns: PEOPLE }).fromJson(json), { code: 'INVALID_INPUT', message });
  });
}

for (const [what, json, message] of [
  [
    'an object in a column without a type',
    [{ a: {} }],
    /\/0\/a must be a text, a number, true or false, got an object/,
  ],
  ['values of different kinds', [{ a: 1 }, { a: 'x' }], /\/1\/a must be a finite number, or null, got "x"/],
  ['null in a column of texts', [{ a: 'x' }, { a: null }], /\/1\/a must be a text, got null/],
  ['a first row that is none', [5], /\/0 must be an object/],
  ['a list per column with a stranger in it', { a: [1], b: [[1]] }, /\/b\/0 must be a text, a number/],
] as const) {
  test(`table() without columns refuses ${what}`, () => {
    assert.throws(() => table().fromJson(json), { code: 'INVALID_INPUT', message });
  });
}

test('table() refuses a number that float32 would make an infinity, and rounds the others', () => {
  const described = table({ columns: { x: 'float32' } });
  assert.throws(() => described.fromJson([{ x: 1e39 }]), {
    code: 'INVALID_INPUT',
    message: /float32 can hold, or null/,
  });
  assert.deepEqual(described.fromJson([{ x: 0.1 }]).columns.x, Float32Array.of(0.1));
});

test('table() refuses more columns than any table has', async () => {
  const names = Array.from({ length: 16_385 }, (_, i) => `c${i}`);
  const row = Object.fromEntries(names.map((name) => [name, 1]));
  const wanted = { code: 'INVALID_INPUT', message: /it has 16385 columns, of at most 16384/ } as const;
  assert.throws(() => table().fromJson([row]), wanted);
  assert.throws(() => table().fromJson(Object.fromEntries(names.map((name) => [name, [1]]))), wanted);
  const csv = { mediaType: 'text/csv', bytes: Buffer.from(names.join()) };
  await assert.rejects(async () => table().media?.read(csv), wanted);
});

test('table() refuses more rows than it was told, before it reads them', () => {
  const described = table({ columns: { a: 'int32' }, maxRows: 2 });
  for (const json of [[1, 2, 3], { a: ['x', 'x', 'x'] }])
    assert.throws(() => described.fromJson(json), {
      code: 'TOO_LARGE',
      message: /a table of 3 rows: wanted at most 2/,
    });
  assert.throws(() => described.check(new Table({ a: 'int32' }, { a: new Int32Array(3) })), { code: 'TOO_LARGE' });
});

test('table() checks what a handler gives: a Table, rows or columns', () => {
  const described = table({ columns: PEOPLE });
  const people = described.fromJson(ROWS);
  assert.equal(described.check(people), people);
  assert.deepEqual(described.check(ROWS), people);
  const other: ColumnTypes = { ...PEOPLE, age: 'int64' };
  const wrong = new Table(other, { ...people.columns, age: BigInt64Array.of(1n, 2n) });
  assert.throws(() => described.check(wrong), {
    code: 'INVALID_INPUT',
    message: /column "age" is int64: wanted int32/,
  });
  const less = new Table({ age: 'int32' }, { age: people.columns.age });
  assert.throws(() => described.check(less), { code: 'INVALID_INPUT', message: /no column "name"/ });
  const infinite = new Table(PEOPLE, { ...people.columns, height: Float64Array.of(1, -Infinity) });
  assert.throws(() => described.check(infinite), {
    code: 'INVALID_INPUT',
    message: /an infinity in row 1 of column "height"/,
  });
  assert.throws(() => table().check(null), { code: 'INVALID_INPUT' });
});

test('a table survives the form of the runner link', () => {
  fc.assert(
    fc.property(tables(), (given) => {
      const described = table({ columns: given.types });
      assert.deepEqual(described.check(decodeValue(bytesOf(encodeValue(given)))), given);
    }),
  );
});

test('a table survives JSON as rows and as columns', () => {
  fc.assert(
    fc.property(tables(), (given) => {
      const described = table({ columns: given.types });
      assert.deepEqual(described.fromJson(JSON.parse(JSON.stringify(described.toJson(given)))), given);
      assert.deepEqual(described.fromJson(JSON.parse(JSON.stringify(given))), given);
    }),
  );
});

test('table() refuses columns of a type or a name that is none', () => {
  assert.deepEqual(table({ columns: FIVE }).spec, { kind: 'table', columns: FIVE, maxRows: null });
  assert.throws(() => table({ columns: { a: 'int' as 'int32' } }), {
    code: 'SERVICE_INVALID',
    message: /"a" of "int"/,
  });
  assert.throws(() => table({ columns: { '': 'int32' } }), { code: 'SERVICE_INVALID', message: /the name ""/ });
});
