import type { ColumnType } from './descriptor.js';

// What the columns of a table hold, one row per type: what is read from JSON, from CSV and from Arrow, and how it is written.
// C1 Nothing is rounded, cut or guessed: a value that its column cannot hold exactly is refused. Only float32 rounds to its own
//    precision.
// C2 Only float columns can say that a value is missing: as NaN, which is null in JSON and an empty field in CSV. Infinities
//    are refused: JSON has no word for them, and models make nonsense of them.

/** Column name → type. */
export type ColumnTypes = Readonly<Record<string, ColumnType>>;

/** What a column of each type is. */
export interface ColumnData {
  string: readonly string[];
  bool: readonly boolean[];
  int32: Int32Array;
  int64: BigInt64Array;
  float32: Float32Array;
  float64: Float64Array;
}

/** One value of a column of each type. */
export interface Cell {
  string: string;
  bool: boolean;
  int32: number;
  int64: bigint;
  float32: number;
  float64: number;
}

interface ColumnRow<T extends ColumnType> {
  readonly wanted: string;
  /** A value of JSON, of Arrow or of a handler; undefined: it does not fit. */
  fromValue(value: unknown): Cell[T] | undefined;
  /** A field of CSV. */
  fromText(text: string): Cell[T] | undefined;
  toData(cells: readonly Cell[T][]): ColumnData[T];
  /** True where the whole is a column of this type; its values are looked at only where the class leaves them open. */
  isData(data: unknown): data is ColumnData[T];
  toJson(cell: Cell[T]): unknown;
  toText(cell: Cell[T]): string;
}

const MIN_INT32 = -(2 ** 31);
const MAX_INT32 = 2 ** 31 - 1;
const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;

/** In CSV, where an editor or pandas wrote it: any case, or a digit. */
const BOOLS: Readonly<Record<string, boolean>> = { true: true, false: false, '1': true, '0': false };

export const COLUMN_TYPES: { readonly [T in ColumnType]: ColumnRow<T> } = {
  string: {
    wanted: 'a text',
    fromValue: (value) => (typeof value === 'string' ? value : undefined),
    fromText: (text) => text,
    toData: (cells) => [...cells],
    isData: (data): data is readonly string[] => isListOf(data, 'string'),
    toJson: (cell) => cell,
    toText: (cell) => cell,
  },
  bool: {
    wanted: 'true or false',
    fromValue: (value) => (typeof value === 'boolean' ? value : undefined),
    fromText: (text) => (Object.hasOwn(BOOLS, text.toLowerCase()) ? BOOLS[text.toLowerCase()] : undefined),
    toData: (cells) => [...cells],
    isData: (data): data is readonly boolean[] => isListOf(data, 'boolean'),
    toJson: (cell) => cell,
    toText: String,
  },
  int32: {
    wanted: `a whole number from ${MIN_INT32} to ${MAX_INT32}`,
    fromValue: toInt32,
    fromText: (text) => (isWhole(text) ? toInt32(Number(text)) : undefined),
    toData: (cells) => new Int32Array(cells),
    isData: (data): data is Int32Array => data instanceof Int32Array,
    toJson: (cell) => cell,
    toText: String,
  },
  int64: {
    wanted: `a whole number from ${MIN_INT64} to ${MAX_INT64} (in JSON as text beyond 2^53)`,
    fromValue: toInt64,
    fromText: (text) => toInt64(text.trim()),
    toData: (cells) => new BigInt64Array(cells),
    isData: (data): data is BigInt64Array => data instanceof BigInt64Array,
    toJson: (cell) => (Number.isSafeInteger(Number(cell)) ? Number(cell) : cell.toString()),
    toText: String,
  },
  float32: {
    wanted: 'a number that float32 can hold, or null',
    fromValue: (value) => toFloat(value, Math.fround),
    fromText: (text) => textToFloat(text, Math.fround),
    toData: (cells) => new Float32Array(cells),
    isData: (data): data is Float32Array => data instanceof Float32Array,
    toJson: (cell) => (Number.isNaN(cell) ? null : cell),
    toText: (cell) => (Number.isNaN(cell) ? '' : String(cell)),
  },
  float64: {
    wanted: 'a finite number, or null',
    fromValue: (value) => toFloat(value, Number),
    fromText: (text) => textToFloat(text, Number),
    toData: (cells) => new Float64Array(cells),
    isData: (data): data is Float64Array => data instanceof Float64Array,
    toJson: (cell) => (Number.isNaN(cell) ? null : cell),
    toText: (cell) => (Number.isNaN(cell) ? '' : String(cell)),
  },
};

function isListOf(data: unknown, type: 'string' | 'boolean'): boolean {
  return Array.isArray(data) && data.every((item) => typeof item === type);
}

/** Before it is made a number or a bigint, which take far more than decimal digits. */
function isWhole(text: string): boolean {
  return /^\s*[+-]?\d{1,20}\s*$/.test(text);
}

function toInt32(value: unknown): number | undefined {
  const number = typeof value === 'bigint' ? Number(value) : value;
  const fits = typeof number === 'number' && Number.isInteger(number) && number >= MIN_INT32 && number <= MAX_INT32;
  return fits ? number : undefined;
}

function toInt64(value: unknown): bigint | undefined {
  const isExact =
    typeof value === 'bigint' ||
    (typeof value === 'number' && Number.isSafeInteger(value)) ||
    (typeof value === 'string' && /^[+-]?\d{1,19}$/.test(value));
  if (!isExact) return undefined;
  const big = BigInt(value);
  return big >= MIN_INT64 && big <= MAX_INT64 ? big : undefined;
}

/** @param round - to the precision of the column. */
function toFloat(value: unknown, round: (value: number) => number): number | undefined {
  if (value === null) return NaN;
  if (typeof value === 'bigint') return BigInt(round(Number(value))) === value ? Number(value) : undefined;
  if (typeof value !== 'number') return undefined;
  const rounded = round(value);
  return Number.isFinite(rounded) || Number.isNaN(rounded) ? rounded : undefined;
}

function textToFloat(text: string, round: (value: number) => number): number | undefined {
  const trimmed = text.trim();
  if (trimmed === '' || trimmed === 'NaN' || trimmed === 'nan') return NaN;
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(trimmed)) return undefined;
  return toFloat(Number(trimmed), round);
}
