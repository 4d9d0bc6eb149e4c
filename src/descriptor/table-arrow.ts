import { setImmediate as nextTurn } from 'node:timers/promises';
import type * as Arrow from 'apache-arrow';
import { JubakoError } from '../errors.js';
import { BatchReader } from './arrow-column.js';
import { messagesOf, type ArrowDictionary, type ArrowField, type ArrowType } from './arrow-format.js';
import type { ColumnTypes } from './column-types.js';
import { ColumnWriter, notFitting, unreadable } from './column-writer.js';
import type { ColumnType } from './descriptor.js';
import { requireOptional } from './optional-package.js';
import { toPointer } from './preview.js';
import { tableOf, type Table } from './table.js';
import { refuseManyRows, typesFor, type TableLimits } from './table-json.js';

// Tables as Arrow IPC. Written by apache-arrow; read here, since the reader of apache-arrow believes what the bytes say: of 2,000
// streams with a few bytes changed, 57 took all memory or did not end (scripts/measure/arrow-reader.mjs).
// V1 A large table is read in slices, and others have their turn in between.

export const ARROW_STREAM = 'application/vnd.apache.arrow.stream';
export const ARROW_FILE = 'application/vnd.apache.arrow.file';
export const ARROW_PACKAGE = 'apache-arrow';

/** About 5 ms of reading. */
const SLICE_CELLS = 32 * 1024;
/** Arrow counts the bytes of texts in 32 bits. */
const MAX_INT32 = 2 ** 31 - 1;
/** Booleans take 64 times their bits here. Below this number, they may. */
const FREE_CELLS = 2 ** 24;

/** A stream or a file, whichever the bytes are. @throws {JubakoError} INVALID_INPUT, TOO_LARGE */
export async function tableFromArrow(limits: TableLimits, bytes: Uint8Array): Promise<Table> {
  try {
    return await new TableReader(limits, bytes).read();
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown;
    throw new JubakoError('INVALID_INPUT', `Cannot read a table of Arrow: ${thrown.message}`, { cause: thrown });
  }
}

class TableReader {
  readonly #limits: TableLimits;
  readonly #bytes: Uint8Array;
  readonly #dictionaries = new Map<bigint, unknown[]>();
  #fields: readonly ArrowField[] | undefined;
  #types: ColumnTypes = {};
  #columns: readonly ColumnWriter[] = [];
  #rows = 0;
  #cells = 0;
  #inSlice = 0;

  constructor(limits: TableLimits, bytes: Uint8Array) {
    this.#limits = limits;
    this.#bytes = bytes;
  }

  async read(): Promise<Table> {
    for (const message of messagesOf(this.#bytes)) {
      if (message.kind === 'schema') this.#readSchema(message.fields);
      else if (message.kind === 'batch') await this.#readBatch(new BatchReader(message.batch), message.batch.rows);
      else this.#readDictionary(message);
    }
    if (this.#fields === undefined) throw new RangeError('it has no schema');
    return tableOf(this.#types, this.#columns);
  }

  #readSchema(fields: readonly ArrowField[]): void {
    if (this.#fields !== undefined) throw new RangeError('it has two schemas');
    const given = fields.map(({ name, type }) => columnTypeOf(name, type));
    const names = fields.map(({ name }) => name);
    this.#fields = fields;
    this.#types = typesFor(this.#limits.types, names, (_name, at) => given[at] as ColumnType);
    this.#columns = names.map((name) => new ColumnWriter(name, this.#types[name] as ColumnType));
  }

  async #readBatch(batch: BatchReader, rows: number): Promise<void> {
    const first = this.#rows;
    this.#rows += rows;
    for (const [at, field] of (this.#fields ?? []).entries()) {
      const valueAt = batch.column(field, (id) => this.#dictionaries.get(id) ?? []);
      refuseManyRows(this.#rows, this.#limits.maxRows);
      this.#countCells(rows);
      const column = this.#columns[at] as ColumnWriter;
      for (let row = 0; row < rows; row += 1) {
        if (this.#isSliceFull()) await nextTurn(); // V1
        const value = valueAt(row);
        if (!column.add(value)) throw notFitting(toPointer([first + row, field.name]), column.wanted, value);
      }
    }
  }

  #readDictionary({ id, isDelta, batch }: ArrowDictionary): void {
    const field = this.#fields?.find(({ dictionary }) => dictionary?.id === id);
    if (field === undefined) throw new RangeError(`it has a dictionary ${id} that no column needs`);
    const valueAt = new BatchReader(batch).values(field.type);
    this.#countCells(batch.rows);
    const values = isDelta ? (this.#dictionaries.get(id) ?? []) : [];
    for (let row = 0; row < batch.rows; row += 1) values.push(valueAt(row));
    this.#dictionaries.set(id, values);
  }

  #isSliceFull(): boolean {
    this.#inSlice += 1;
    if (this.#inSlice <= SLICE_CELLS) return false;
    this.#inSlice = 0;
    return true;
  }

  #countCells(rows: number): void {
    this.#cells += rows;
    if (this.#cells <= FREE_CELLS + this.#bytes.byteLength) return;
    const given = `${this.#cells} values in ${this.#bytes.byteLength} bytes`;
    throw new JubakoError('TOO_LARGE', `Cannot accept a table of more than ${given}: send it in smaller ones`);
  }
}

/** What the values of an Arrow column are read as where no column is described; each of these types is exact in it. */
function columnTypeOf(name: string, type: ArrowType): ColumnType {
  switch (type.kind) {
    case 'utf8':
      return 'string';
    case 'bool':
      return 'bool';
    case 'int':
      return type.bits < 32 || (type.bits === 32 && type.isSigned) ? 'int32' : 'int64';
    case 'float':
      return type.bits === 64 ? 'float64' : 'float32';
    case 'other':
      throw unreadable(`its column "${name}" is of type ${type.name}: wanted texts, booleans, whole numbers or floats`);
    default:
      return type satisfies never;
  }
}

let loaded: typeof Arrow | undefined;

/** @throws {JubakoError} SERVICE_INVALID - it is not installed. */
export function loadArrow(): typeof Arrow {
  loaded ??= requireOptional(ARROW_PACKAGE, 'tables in the Arrow format') as typeof Arrow;
  return loaded;
}

export function tableToArrow(table: Table, mediaType: typeof ARROW_STREAM | typeof ARROW_FILE): Uint8Array {
  const arrow = loadArrow();
  const vectors = Object.entries(table.types).map(
    ([name, type]) => [name, vectorOf(arrow, table, name, type)] as const,
  );
  const target = new arrow.Table(Object.fromEntries(vectors));
  return arrow.tableToIPC(target, mediaType === ARROW_STREAM ? 'stream' : 'file');
}

/** Texts and booleans are laid out here: the builders of apache-arrow take ten times as long. */
function vectorOf(arrow: typeof Arrow, { columns, rows: length }: Table, name: string, type: ColumnType): Arrow.Vector {
  const data: unknown = columns[name];
  if (type === 'string') {
    const { offsets, bytes } = layOutTexts(data as readonly string[]);
    return arrow.makeVector(arrow.makeData({ type: new arrow.Utf8(), length, valueOffsets: offsets, data: bytes }));
  }
  if (type === 'bool') {
    const bits = new Uint8Array(Math.ceil(length / 8));
    for (const [row, value] of (data as readonly boolean[]).entries())
      if (value) bits[row >>> 3] = (bits[row >>> 3] as number) | (1 << (row & 7));
    return arrow.makeVector(arrow.makeData({ type: new arrow.Bool(), length, data: bits }));
  }
  return arrow.makeVector(data as Float64Array) as Arrow.Vector;
}

function layOutTexts(texts: readonly string[]): { readonly offsets: Int32Array; readonly bytes: Uint8Array } {
  const offsets = new Int32Array(texts.length + 1);
  let end = 0;
  for (const [row, text] of texts.entries()) {
    end += Buffer.byteLength(text);
    if (end > MAX_INT32)
      throw new JubakoError('TOO_LARGE', `Cannot write a column of more than ${MAX_INT32} bytes as Arrow`);
    offsets[row + 1] = end;
  }
  const bytes = Buffer.allocUnsafe(end);
  for (const [row, text] of texts.entries()) bytes.write(text, offsets[row] as number);
  return { offsets, bytes };
}
