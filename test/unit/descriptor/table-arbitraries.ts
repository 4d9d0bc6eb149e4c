import fc from 'fast-check';
import { Table, type ColumnTypes } from '#dist/service/index.js';

export const TYPES = ['string', 'bool', 'int32', 'int64', 'float32', 'float64'] as const;

const CELLS = {
  string: fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 8 }),
    fc
      .array(fc.constantFrom('"', ',', '\n', '\r', '\r\n', ' ', 'a', ';', '\t', '\\', '\ufeff'), { maxLength: 5 })
      .map(join),
  ),
  bool: fc.boolean(),
  int32: fc.integer(),
  int64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  // JSON and CSV write -0 as 0.
  float32: fc.float({ noDefaultInfinity: true }).map(withoutMinusZero),
  float64: fc.double({ noDefaultInfinity: true }).map(withoutMinusZero),
} as const;

/** Tables of up to four columns and five rows, with names and texts that are hard to write. */
export function tables(): fc.Arbitrary<Table> {
  return fc
    .uniqueArray(fc.tuple(names(), fc.constantFrom(...TYPES)), {
      selector: ([name]) => name,
      minLength: 1,
      maxLength: 4,
    })
    .chain((columns) => {
      const types: ColumnTypes = Object.fromEntries(columns);
      const cells = Object.fromEntries(columns.map(([name, type]) => [name, CELLS[type] as fc.Arbitrary<unknown>]));
      return fc.array(fc.record(cells, { noNullPrototype: true }), { maxLength: 5 }).map((rows) => {
        return Table.fromRows(types, rows as never);
      });
    });
}

/** A byte order mark at the beginning of a CSV is none of its text. */
function names(): fc.Arbitrary<string> {
  return CELLS.string.filter((name) => name !== '' && name !== '__proto__' && !name.startsWith('\ufeff'));
}

function join(parts: readonly string[]): string {
  return parts.join('');
}

function withoutMinusZero(value: number): number {
  return value === 0 ? 0 : value;
}
