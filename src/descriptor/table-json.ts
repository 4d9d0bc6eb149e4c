import { JubakoError } from '../errors.js';
import { COLUMN_TYPES, type ColumnTypes } from './column-types.js';
import { notFitting, unreadable } from './column-writer.js';
import type { ColumnType } from './descriptor.js';
import { isRecord } from './json-object.js';
import { toPointer } from './preview.js';
import { rowsOf, tableFromColumns, tableFromRows, type Table } from './table.js';

// Tables as JSON: a list of rows `[{ "age": 5 }, …]`, which is what is written, or an object of columns `{ "age": [5, …] }`.
// Browsers use this file too: nothing of Node in it.

/** Who sends more sends something else than a table; each costs far more than its bytes. */
const MAX_COLUMNS = 16_384;

export interface TableLimits {
  /** Null: as the data has it. */
  readonly types: ColumnTypes | null;
  readonly maxRows: number | null;
}

/** @throws {JubakoError} INVALID_INPUT, TOO_LARGE - names row, column, value and what was wanted. */
export function tableFromJson({ types, maxRows }: TableLimits, json: unknown): Table {
  if (Array.isArray(json)) {
    refuseManyRows(json.length, maxRows);
    return tableFromRows(types ?? typesOfRows(json), json);
  }
  if (!isRecord(json)) throw notFitting('/', 'a list of rows, or an object with a list per column', json);
  for (const list of Object.values(json)) if (Array.isArray(list)) refuseManyRows(list.length, maxRows);
  return tableFromColumns(types ?? typesOfColumns(json), json);
}

/** @throws {JubakoError} INVALID_INPUT - a float column holds an infinity. */
export function tableToJson(table: Table): unknown {
  return rowsOf(table, (type, cell) => (COLUMN_TYPES[type] as { toJson(cell: unknown): unknown }).toJson(cell));
}

/** @throws {JubakoError} TOO_LARGE */
export function refuseManyRows(rows: number, maxRows: number | null): void {
  if (maxRows !== null && rows > maxRows)
    throw new JubakoError('TOO_LARGE', `Cannot accept a table of ${rows} rows: wanted at most ${maxRows}`);
}

function refuseManyColumns(columns: number): void {
  if (columns > MAX_COLUMNS) throw unreadable(`it has ${columns} columns, of at most ${MAX_COLUMNS}`);
}

function typesOfRows(rows: readonly unknown[]): ColumnTypes {
  const [first] = rows;
  if (first === undefined) return {};
  if (!isRecord(first)) throw notFitting('/0', 'an object with a value per column', first);
  refuseManyColumns(Object.keys(first).length);
  const types = new Map<string, ColumnType>(Object.keys(first).map((name) => [name, 'float64']));
  const open = new Set(types.keys());
  for (let at = 0; at < rows.length && open.size > 0; at += 1) {
    const row = rows[at];
    for (const name of open) {
      // A row that lacks it ends the search, as it will end the reading: nobody walks along many columns that are not there.
      if (!isRecord(row) || !Object.hasOwn(row, name)) return Object.fromEntries(types);
      if (row[name] === null) continue;
      types.set(name, typeOf(row[name], [at, name]));
      open.delete(name);
    }
  }
  return Object.fromEntries(types);
}

function typesOfColumns(lists: Readonly<Record<string, unknown>>): ColumnTypes {
  refuseManyColumns(Object.keys(lists).length);
  const typed = Object.entries(lists).map(([name, list]) => {
    const at = Array.isArray(list) ? list.findIndex((value) => value !== null) : -1;
    return [name, typeOf(at === -1 ? null : (list as readonly unknown[])[at], [name, at])] as const;
  });
  return Object.fromEntries(typed);
}

/** What JSON tells apart: every number is a float64 where nothing else is said, and so is what is missing throughout. */
function typeOf(value: unknown, path: readonly PropertyKey[]): ColumnType {
  if (value === null || typeof value === 'number') return 'float64';
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  throw notFitting(toPointer(path), 'a text, a number, true or false', value);
}

/** @throws {JubakoError} INVALID_INPUT - the columns are not those that were wanted; where none were, what `otherwise` says. */
export function typesFor(
  wanted: ColumnTypes | null,
  names: readonly string[],
  otherwise: (name: string, at: number) => ColumnType,
): ColumnTypes {
  refuseManyColumns(names.length);
  const given = new Set<string>();
  for (const name of names) {
    if (given.has(name)) throw unreadable(`the column "${name}" is there twice`);
    given.add(name);
  }
  if (wanted === null) return Object.fromEntries(names.map((name, at) => [name, otherwise(name, at)]));
  const missing = Object.keys(wanted).find((name) => !given.has(name));
  if (missing !== undefined) throw unreadable(`it has no column "${missing}"`);
  const unknown = names.find((name) => !Object.hasOwn(wanted, name));
  if (unknown !== undefined)
    throw unreadable(`it has a column "${unknown}"; the columns are ${Object.keys(wanted).join(', ')}`);
  return wanted;
}
