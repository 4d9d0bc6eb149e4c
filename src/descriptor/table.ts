import { COLUMN_TYPES, type Cell, type ColumnData, type ColumnTypes } from './column-types.js';
import { checkColumnName, ColumnWriter, notFitting, unreadable } from './column-writer.js';
import type { ColumnType } from './descriptor.js';
import { isRecord } from './json-object.js';
import { toPointer } from './preview.js';

// B1 Every column has `rows` values of its type; the constructor checks it before anything is believed.
// B2 A table is a value: nothing here writes into its columns after construction.
// Browsers use this file too: nothing of Node in it.

export type TableColumns<C extends ColumnTypes> = { readonly [K in keyof C]: ColumnData[C[K]] };

export type TableRow<C extends ColumnTypes = ColumnTypes> = { readonly [K in keyof C]: Cell[C[K]] };

/** A row as `fromRows` takes it: 64-bit integers also as numbers, what is missing in a float column also as null. */
export type TableRowInput<C extends ColumnTypes = ColumnTypes> = { readonly [K in keyof C]: CellInput[C[K]] };

interface CellInput {
  string: string;
  bool: boolean;
  int32: number;
  int64: bigint | number | string;
  float32: number | null;
  float64: number | null;
}

/** Shared by every copy of this package, so that a table of the service's copy is a table here too. */
const BRAND = Symbol.for('jubako.table');

/**
 * Named columns of one length. Texts and booleans are lists, numbers typed arrays; `int64` is a BigInt64Array and so exact.
 * NaN stands for what is missing in a float column; the others have a value in every row.
 */
export class Table<C extends ColumnTypes = ColumnTypes> {
  readonly types: C;
  readonly columns: TableColumns<C>;
  readonly rows: number;
  /** For types only; never set. */
  declare readonly '~client'?: Table<C> | readonly TableRowInput<C>[];

  static [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && BRAND in value;
  }

  /** @throws {JubakoError} INVALID_INPUT - a column is missing, of another type, or of another length. */
  constructor(types: C, columns: TableColumns<C>) {
    const names = Object.keys(types);
    const given: Readonly<Record<string, unknown>> = columns;
    for (const name of Object.keys(given)) if (!Object.hasOwn(types, name)) throw unreadable(`"${name}" has no type`);
    let rows: number | undefined;
    for (const name of names) {
      checkColumnName(name);
      const data = Object.hasOwn(given, name) ? given[name] : undefined;
      const type = types[name] as ColumnType;
      if (!COLUMN_TYPES[type].isData(data)) throw unreadable(`the column "${name}" is no ${type} column`);
      rows ??= data.length;
      if (data.length !== rows)
        throw unreadable(`the column "${name}" has ${data.length} rows, "${names[0] ?? ''}" has ${rows}`);
    }
    this.types = Object.freeze({ ...types });
    this.columns = Object.freeze({ ...columns });
    this.rows = rows ?? 0;
  }

  /**
   * `Table.fromRows({ age: 'int32', name: 'string' }, [{ age: 5, name: 'Ann' }])`
   * @throws {JubakoError} INVALID_INPUT - names row, column, value and what was wanted.
   */
  static fromRows<const C extends ColumnTypes>(types: C, rows: readonly TableRowInput<C>[]): Table<C> {
    return tableFromRows(types, rows);
  }

  get [BRAND](): true {
    return true;
  }

  toRows(): TableRow<C>[] {
    return rowsOf(this, (_type, cell) => cell) as TableRow<C>[];
  }

  /** By columns, as JSON can hold it: 64-bit integers beyond 2^53 as text, NaN as null. */
  toJSON(): Readonly<Record<string, readonly unknown[]>> {
    const columns = Object.entries(this.types).map(([name, type]) => {
      const row = COLUMN_TYPES[type] as { toJson(cell: unknown): unknown };
      return [name, Array.from(this.columns[name] as ArrayLike<unknown>, (cell) => row.toJson(cell))] as const;
    });
    return Object.fromEntries(columns);
  }
}

/** `instanceof` alone would lose the type of its columns. */
export function isTable(value: unknown): value is Table {
  return value instanceof Table;
}

/** Objects with a value per column, each made by `write`. */
export function rowsOf(table: Table, write: (type: ColumnType, cell: unknown) => unknown): Record<string, unknown>[] {
  const rows = Array.from({ length: table.rows }, (): Record<string, unknown> => ({}));
  for (const [name, type] of Object.entries(table.types)) {
    const data = table.columns[name] as ArrayLike<unknown>;
    for (let i = 0; i < rows.length; i += 1) (rows[i] as Record<string, unknown>)[name] = write(type, data[i]);
  }
  return rows;
}

/**
 * @param rows - not yet checked.
 * @throws {JubakoError} INVALID_INPUT - names row, column, value and what was wanted.
 */
export function tableFromRows<C extends ColumnTypes>(types: C, rows: readonly unknown[]): Table<C> {
  const names = Object.keys(types);
  const columns = names.map((name) => new ColumnWriter(name, types[name] as ColumnType));
  for (let at = 0; at < rows.length; at += 1) {
    const row = rows[at];
    if (!isRecord(row)) throw notFitting(`/${at}`, 'an object with a value per column', row);
    for (const column of columns) {
      if (!Object.hasOwn(row, column.name)) throw unreadable(`row ${at} has no "${column.name}"`);
      const value = row[column.name];
      if (!column.add(value)) throw notFitting(toPointer([at, column.name]), column.wanted, value);
    }
    refuseOthers(`row ${at}`, row, types);
  }
  return tableOf(types, columns);
}

/**
 * @param lists - name → list of values, not yet checked.
 * @throws {JubakoError} INVALID_INPUT - names column, row, value and what was wanted.
 */
export function tableFromColumns<C extends ColumnTypes>(types: C, lists: Readonly<Record<string, unknown>>): Table<C> {
  const columns = Object.keys(types).map((name) => {
    const column = new ColumnWriter(name, types[name] as ColumnType);
    if (!Object.hasOwn(lists, name)) throw unreadable(`it has no "${name}"`);
    const list = lists[name];
    if (!Array.isArray(list)) throw notFitting(toPointer([name]), 'a list with a value per row', list);
    for (let at = 0; at < list.length; at += 1) {
      if (!column.add(list[at])) throw notFitting(toPointer([name, at]), column.wanted, list[at]);
    }
    return column;
  });
  refuseOthers('it', lists, types);
  return tableOf(types, columns);
}

function refuseOthers(what: string, given: Readonly<Record<string, unknown>>, types: ColumnTypes): void {
  for (const name in given) {
    if (Object.hasOwn(given, name) && !Object.hasOwn(types, name))
      throw unreadable(`${what} has a column "${name}"; the columns are ${Object.keys(types).join(', ')}`);
  }
}

export function tableOf<C extends ColumnTypes>(types: C, columns: readonly ColumnWriter[]): Table<C> {
  const entries = columns.map((column) => [column.name, column.toData()] as const);
  return new Table(types, Object.fromEntries(entries) as TableColumns<C>);
}
