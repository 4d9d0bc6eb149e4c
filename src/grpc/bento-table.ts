import type { ApiInput } from '../descriptor/api-input.js';
import { ColumnWriter, notFitting } from '../descriptor/column-writer.js';
import type { ColumnData } from '../descriptor/column-types.js';
import type { ColumnType, TableSpec } from '../descriptor/descriptor.js';
import { isTable, Table } from '../descriptor/table.js';
import { JubakoError } from '../errors.js';
import type { DataFrame, SeriesField, SeriesValues } from './bento-messages.js';
import { wellFormed } from './bento-value.js';
import type { Int64 } from './protos.js';
import { fromInt64s, toInt64s } from './tensor-contents.js';

// Between the DataFrame of BentoML's API and tables.
// T1 A column is taken from any list whose values its type holds exactly, as from JSON; where the API leaves the types open,
//    from the list that is given.
// T2 Whatever a client sends becomes a table or an INVALID_INPUT that names the column, what it gave and what was wanted.

interface SeriesForm {
  readonly field: SeriesField;
  write(data: never): SeriesValues;
}

/** How a column of each type is written. */
const SERIES_FORMS: Readonly<Record<ColumnType, SeriesForm>> = {
  bool: { field: 'bool_values', write: (data: ColumnData['bool']) => ({ bool_values: data }) },
  string: { field: 'string_values', write: (data: ColumnData['string']) => ({ string_values: data.map(wellFormed) }) },
  int32: { field: 'int32_values', write: (data: ColumnData['int32']) => ({ int32_values: Array.from(data) }) },
  int64: { field: 'int64_values', write: (data: ColumnData['int64']) => ({ int64_values: toInt64s(data, false) }) },
  float32: { field: 'float_values', write: (data: ColumnData['float32']) => ({ float_values: Array.from(data) }) },
  float64: { field: 'double_values', write: (data: ColumnData['float64']) => ({ double_values: Array.from(data) }) },
};

const TYPE_OF_FIELD: Readonly<Record<SeriesField, ColumnType>> = {
  bool_values: 'bool',
  string_values: 'string',
  int32_values: 'int32',
  int64_values: 'int64',
  float_values: 'float32',
  double_values: 'float64',
};
const NO_VALUES: readonly never[] = [];

/** The columns in the order of the API. */
export function toDataFrame({ columns }: TableSpec, value: unknown): DataFrame {
  if (!isTable(value)) throw new TypeError('Cannot write a table: its check gave none');
  const names = Object.keys(columns ?? value.types);
  return {
    column_names: names.map(wellFormed),
    columns: names.map((name) => SERIES_FORMS[value.types[name] as ColumnType].write(value.columns[name] as never)),
  };
}

/** @throws {JubakoError} INVALID_INPUT (T2) */
export function readDataFrame(what: string, spec: TableSpec, given: DataFrame): ApiInput {
  const { column_names: names = NO_VALUES, columns = NO_VALUES } = given;
  if (names.length !== columns.length)
    throw refused(what, `it has ${names.length} column_names and ${columns.length} columns; wanted as many`);
  const types: Record<string, ColumnType> = {};
  const data: Record<string, ColumnData[ColumnType]> = {};
  for (const [at, name] of names.entries()) {
    if (Object.hasOwn(data, name)) throw refused(what, `the column "${name}" is there twice`);
    const declared = spec.columns !== null && Object.hasOwn(spec.columns, name) ? spec.columns[name] : undefined;
    const series = columns[at] as SeriesValues;
    const field = fieldOf(`${what}, column "${name}"`, series);
    const type = declared ?? (field === undefined ? 'float64' : TYPE_OF_FIELD[field]);
    const writer = new ColumnWriter(name, type); // refuses names that are none
    types[name] = type;
    data[name] = field === undefined ? writer.toData() : toData(writer, type, field, series);
  }
  return { form: 'value', value: new Table(types, data) }; // the descriptor checks the columns
}

/** @throws {JubakoError} INVALID_INPUT (T2) */
export function readSeries(what: string, spec: TableSpec, given: SeriesValues): ApiInput {
  const names = Object.keys(spec.columns ?? {});
  const [name, ...others] = names;
  if (name !== undefined && others.length === 0)
    return readDataFrame(what, spec, { column_names: [name], columns: [given] });
  const wanted = name === undefined ? 'any columns' : `the columns ${names.join(', ')}`;
  throw refused(what, `it is series, one column without a name; wanted dataframe with ${wanted}`);
}

/** Undefined: it has no values. */
function fieldOf(what: string, given: SeriesValues): SeriesField | undefined {
  const [field, second] = Object.keys(given) as SeriesField[];
  if (second !== undefined) throw refused(what, `its values are in ${field} and in ${second}; wanted one list`);
  return field;
}

/** T1 */
function toData(
  writer: ColumnWriter,
  type: ColumnType,
  field: SeriesField,
  given: SeriesValues,
): ColumnData[ColumnType] {
  const values = given[field] as readonly unknown[];
  if (field === SERIES_FORMS[type].field) {
    if (field === 'int64_values') return fromInt64s('int64', values as readonly Int64[]) as BigInt64Array;
    if (field === 'string_values' || field === 'bool_values') return values as readonly string[];
    if (type === 'int32') return Int32Array.from(values as readonly number[]);
    return type === 'float32' ? Float32Array.from(values as readonly number[]) : Float64Array.from(values as number[]);
  }
  const plain = field === 'int64_values' ? Array.from(fromInt64s('int64', values as readonly Int64[])) : values;
  for (const [row, value] of plain.entries()) {
    if (!writer.add(value)) throw notFitting(`row ${row} of column "${writer.name}" in ${field}`, writer.wanted, value);
  }
  return writer.toData();
}

function refused(what: string, why: string): JubakoError {
  return new JubakoError('INVALID_INPUT', `Cannot read ${what}: ${why}`);
}
