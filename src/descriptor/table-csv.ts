import { isUtf8 } from 'node:buffer';
import { createRequire } from 'node:module';
import { pipeline } from 'node:stream/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type * as CsvParse from 'csv-parse';
import type * as CsvStringify from 'csv-stringify/sync';
import { JubakoError } from '../errors.js';
import { COLUMN_TYPES, type ColumnTypes } from './column-types.js';
import { ColumnWriter, notFitting, unreadable } from './column-writer.js';
import type { ColumnType } from './descriptor.js';
import { tableOf, type Table } from './table.js';
import { refuseManyRows, typesFor, type TableLimits } from './table-json.js';

// Tables as CSV (RFC 4180): UTF-8, a header with the names of the columns in any order, commas, double quotes.
// V1 A large table is read and written in slices, and others have their turn in between.
// V2 What a column without a type holds is text: "007" stays as it is.

/** About 3 ms of reading, 15 ms of what is nothing but quotes. */
const SLICE_BYTES = 32 * 1024;
const SLICE_ROWS = 2048;

const require = createRequire(import.meta.url);

/** @throws {JubakoError} INVALID_INPUT, TOO_LARGE - names the line, the column, the value and what was wanted. */
export async function tableFromCsv(limits: TableLimits, bytes: Uint8Array): Promise<Table> {
  if (!isUtf8(bytes)) throw unreadable('its CSV is not UTF-8');
  const rows = new CsvRows(limits);
  const { parse } = require('csv-parse') as typeof CsvParse;
  const parser = parse({
    bom: true,
    skip_empty_lines: true,
    on_record: (record: string[], { lines }) => {
      rows.add(record, lines);
      return null;
    },
  });
  parser.resume();
  try {
    await pipeline(slicesOf(bytes), parser);
  } catch (thrown) {
    throw thrown instanceof JubakoError ? thrown : toError(thrown, rows.width);
  }
  return rows.toTable();
}

async function* slicesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += SLICE_BYTES) {
    if (at > 0) await nextTurn(); // V1
    yield bytes.subarray(at, at + SLICE_BYTES);
  }
}

/** The records of a table, the header first. */
class CsvRows {
  readonly #limits: TableLimits;
  #types: ColumnTypes = {};
  /** In the order of the header; undefined: the header has not come. */
  #columns: readonly ColumnWriter[] | undefined;
  #rows = 0;

  constructor(limits: TableLimits) {
    this.#limits = limits;
  }

  get width(): number {
    return this.#columns?.length ?? 0;
  }

  add(record: readonly string[], line: number): void {
    if (this.#columns === undefined) {
      const types = typesFor(this.#limits.types, record, () => 'string'); // V2
      this.#types = types;
      this.#columns = record.map((name) => new ColumnWriter(name, types[name] as ColumnType));
      return;
    }
    this.#rows += 1;
    refuseManyRows(this.#rows, this.#limits.maxRows);
    for (const [at, column] of this.#columns.entries()) {
      const text = record[at] ?? '';
      if (!column.addText(text)) throw notFitting(`line ${line}, column "${column.name}"`, column.wanted, text);
    }
  }

  toTable(): Table {
    if (this.#columns === undefined) throw unreadable('its CSV is empty: wanted a line with the names of the columns');
    return tableOf(this.#types, this.#columns);
  }
}

/** What an error of csv-parse has, as far as it is read. */
interface FailedParse {
  readonly code: string;
  readonly message: string;
  readonly lines: number;
  readonly record: readonly unknown[];
}

function toError(thrown: unknown, width: number): JubakoError {
  const { code, message, lines, record } = thrown as Partial<FailedParse>;
  const why =
    code === 'CSV_RECORD_INCONSISTENT_FIELDS_LENGTH'
      ? `line ${lines ?? 0} has ${record?.length ?? 0} fields, the header has ${width}`
      : `line ${lines ?? 0}: ${message ?? 'it is no CSV'}`;
  return new JubakoError('INVALID_INPUT', `Cannot read a table: ${why}`, { cause: thrown });
}

export async function tableToCsv(table: Table): Promise<Uint8Array> {
  const { stringify } = require('csv-stringify/sync') as typeof CsvStringify;
  // A field that is empty is quoted: in a table of one column its line would be empty, and skipped.
  const write = (records: readonly (readonly string[])[]): Buffer =>
    Buffer.from(stringify(records as string[][], { quoted_empty: true }));
  const columns = Object.entries(table.types).map(([name, type]) => {
    const row = COLUMN_TYPES[type] as { toText(cell: unknown): string };
    const data = table.columns[name] as ArrayLike<unknown>;
    return (at: number): string => row.toText(data[at]);
  });
  const chunks = [write([Object.keys(table.types)])];
  for (let from = 0; from < table.rows; from += SLICE_ROWS) {
    if (from > 0) await nextTurn(); // V1
    const count = Math.min(SLICE_ROWS, table.rows - from);
    chunks.push(write(Array.from({ length: count }, (_, i) => columns.map((textAt) => textAt(from + i)))));
  }
  return Buffer.concat(chunks);
}
