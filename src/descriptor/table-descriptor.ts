import { JubakoError } from '../errors.js';
import { COLUMN_TYPES, type ColumnTypes } from './column-types.js';
import { checkColumnName } from './column-writer.js';
import type { ColumnType, Media, MediaForm, SyncDescriptor, TableSpec } from './descriptor.js';
import { parseLimit, refuseCharset, refuseMediaType } from './media-type.js';
import { isInstalled } from './optional-package.js';
import { isTable, type Table } from './table.js';
import { ARROW_FILE, ARROW_PACKAGE, ARROW_STREAM, loadArrow, tableFromArrow, tableToArrow } from './table-arrow.js';
import { tableFromCsv, tableToCsv } from './table-csv.js';
import { refuseManyRows, tableFromJson, tableToJson, typesFor, type TableLimits } from './table-json.js';

export interface TableOptions<C extends ColumnTypes = ColumnTypes> {
  /**
   * Column name → type: `{ age: 'int32', name: 'string' }`; no others are let through, and none may be missing. Default: what
   * the data has, where JSON knows texts, float64 and booleans, and CSV texts only.
   */
  readonly columns?: C;
  /** Default: only the limit of the body. */
  readonly maxRows?: number;
}

/**
 * A table: as JSON a list of rows, or an object with a list per column; as a body CSV or Arrow IPC. Arrow is written where
 * apache-arrow is installed.
 */
export function table<const C extends ColumnTypes = ColumnTypes>(
  options: TableOptions<C> = {},
): SyncDescriptor<Table<C>, TableSpec> {
  return new TableDescriptor(options) as unknown as SyncDescriptor<Table<C>, TableSpec>;
}

const CSV = 'text/csv';

class TableDescriptor implements SyncDescriptor<Table, TableSpec> {
  readonly spec: TableSpec;
  readonly media: MediaForm<Table>;
  readonly #limits: TableLimits;

  constructor({ columns, maxRows }: TableOptions) {
    const types = columns === undefined ? null : checkTypes(columns);
    this.spec = { kind: 'table', columns: types, maxRows: parseLimit('maxRows', maxRows) };
    this.#limits = { types, maxRows: this.spec.maxRows };
    this.media = new TableMedia(this.#limits);
  }

  /** Arrow takes 50 ms to load. */
  prepare(): void {
    if (writtenTypes().includes(ARROW_STREAM)) loadArrow();
  }

  fromJson(json: unknown): Table {
    return tableFromJson(this.#limits, json);
  }

  toJson(value: Table): unknown {
    return tableToJson(value);
  }

  /** Also what JSON can hold: it arrives so in the form of the runner link, and handlers may give it. */
  check(value: unknown): Table {
    if (!isTable(value)) return this.fromJson(value);
    const { types, maxRows } = this.#limits;
    refuseManyRows(value.rows, maxRows);
    typesFor(types, Object.keys(value.types), (name) => value.types[name] as ColumnType);
    for (const [name, type] of Object.entries(value.types)) {
      const wanted = types === null ? type : types[name];
      if (type !== wanted)
        throw new JubakoError(
          'INVALID_INPUT',
          `Cannot accept a table whose column "${name}" is ${type}: wanted ${wanted}`,
        );
      if (type === 'float32' || type === 'float64') refuseInfinities(name, value.columns[name] as Float64Array);
    }
    return value;
  }
}

class TableMedia implements MediaForm<Table> {
  readonly accepts = [CSV, ARROW_STREAM, ARROW_FILE];
  readonly #limits: TableLimits;

  constructor(limits: TableLimits) {
    this.#limits = limits;
  }

  get gives(): readonly string[] {
    return writtenTypes();
  }

  async read(media: Media): Promise<Table> {
    const { mediaType, bytes } = media;
    refuseMediaType('a table', mediaType, this.accepts);
    if (mediaType !== CSV) return tableFromArrow(this.#limits, bytes);
    refuseCharset(media);
    return tableFromCsv(this.#limits, bytes);
  }

  async write(value: Table, mediaType: string): Promise<Media> {
    if (mediaType === ARROW_STREAM || mediaType === ARROW_FILE)
      return { mediaType, bytes: tableToArrow(value, mediaType) };
    return { mediaType: CSV, bytes: await tableToCsv(value), parameters: { charset: 'utf-8', header: 'present' } };
  }
}

let written: readonly string[] | undefined;

function writtenTypes(): readonly string[] {
  written ??= isInstalled(ARROW_PACKAGE) ? [CSV, ARROW_STREAM, ARROW_FILE] : [CSV];
  return written;
}

function checkTypes(columns: ColumnTypes): ColumnTypes {
  for (const [name, type] of Object.entries<string>(columns)) {
    try {
      checkColumnName(name);
    } catch (cause) {
      throw new JubakoError('SERVICE_INVALID', `Cannot describe a table: a column has the name "${name}"`, { cause });
    }
    if (!Object.hasOwn(COLUMN_TYPES, type)) {
      const types = Object.keys(COLUMN_TYPES).join(', ');
      throw new JubakoError(
        'SERVICE_INVALID',
        `Cannot describe a column "${name}" of "${type}": the types are ${types}`,
      );
    }
  }
  return { ...columns };
}

function refuseInfinities(name: string, data: Float32Array | Float64Array): void {
  for (let row = 0; row < data.length; row += 1) {
    if (Math.abs(data[row] as number) !== Infinity) continue;
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot accept a table with an infinity in row ${row} of column "${name}": wanted finite numbers, or NaN for what is missing`,
    );
  }
}
