import { JubakoError } from '../errors.js';
import { preview } from './preview.js';

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @throws {JubakoError} INVALID_INPUT - an object has keys that nobody reads. */
export function refuseKeys(what: string, others: Readonly<Record<string, unknown>>, known: string): void {
  const [unknown] = Object.keys(others);
  if (unknown === undefined) return;
  throw new JubakoError(
    'INVALID_INPUT',
    `Cannot accept ${what} with the key ${preview(unknown)}: the keys are ${known}`,
  );
}
