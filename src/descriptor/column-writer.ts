import { JubakoError } from '../errors.js';
import { COLUMN_TYPES, type ColumnData } from './column-types.js';
import type { ColumnType } from './descriptor.js';
import { preview } from './preview.js';

/** A column while its values come in. */
export class ColumnWriter {
  readonly name: string;
  readonly wanted: string;
  readonly #row: ErasedRow;
  readonly #cells: unknown[] = [];

  /** @throws {JubakoError} INVALID_INPUT - the name is none. */
  constructor(name: string, type: ColumnType) {
    checkColumnName(name);
    this.name = name;
    this.#row = COLUMN_TYPES[type];
    this.wanted = this.#row.wanted;
  }

  /** False: the value does not fit. */
  add(value: unknown): boolean {
    return this.#push(this.#row.fromValue(value));
  }

  addText(text: string): boolean {
    return this.#push(this.#row.fromText(text));
  }

  toData(): ColumnData[ColumnType] {
    return this.#row.toData(this.#cells);
  }

  #push(cell: unknown): boolean {
    if (cell === undefined) return false;
    this.#cells.push(cell);
    return true;
  }
}

/** The row of one type, with the type forgotten. */
interface ErasedRow {
  readonly wanted: string;
  fromValue(value: unknown): unknown;
  fromText(text: string): unknown;
  toData(cells: readonly unknown[]): ColumnData[ColumnType];
}

/** @throws {JubakoError} INVALID_INPUT - nobody can ask for a column of such a name. */
export function checkColumnName(name: string): void {
  if (name === '' || name === '__proto__') throw unreadable(`a column has the name ${preview(name)}`);
}

export function unreadable(why: string): JubakoError {
  return new JubakoError('INVALID_INPUT', `Cannot read a table: ${why}`);
}

/** @param where - JSON Pointer, or a place in words. */
export function notFitting(where: string, wanted: string, value: unknown): JubakoError {
  return new JubakoError('INVALID_INPUT', `Cannot read a table: ${where} must be ${wanted}, got ${preview(value)}`, {
    details: [{ path: where, message: `must be ${wanted}` }],
  });
}
