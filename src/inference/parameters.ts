import { JubakoError } from '../errors.js';
import type { Priority } from '../service/define.js';
import type { Parameters, ParameterValue } from './infer-request.js';

// Parameters of requests and of their tensors. P1 Unknown ones are ignored, as the protocol says; those of Triton's
// extensions that would change where elements are, what they mean or which requests belong together are refused by name.

/** Of inputs and outputs. */
const UNSERVED_OF_TENSORS = ['shared_memory_region', 'classification'];
/** Of requests; a value that stands for "no" is let through. */
const UNSERVED_OF_REQUESTS = ['sequence_id', 'sequence_start', 'sequence_end'];

/** @throws {JubakoError} INVALID_INPUT (P1) */
export function refuseTensorParameters(what: string, parameters: Parameters | undefined): void {
  if (parameters === undefined) return;
  for (const name of UNSERVED_OF_TENSORS) if (Object.hasOwn(parameters, name)) throw unserved(name, what);
}

/** @throws {JubakoError} INVALID_INPUT (P1) */
export function refuseRequestParameters(parameters: Parameters | undefined): void {
  if (parameters === undefined) return;
  for (const name of UNSERVED_OF_REQUESTS) if (means(parameters[name])) throw unserved(name, 'request');
}

function means(value: ParameterValue | undefined): boolean {
  return value !== undefined && value !== 0 && value !== '' && value !== false;
}

function unserved(name: string, what: string): JubakoError {
  return new JubakoError(
    'INVALID_INPUT',
    `Cannot use the parameter "${name}" of the ${what}: this server has no such extension`,
  );
}

/**
 * The request parameter `priority` as in Triton: 1 goes first, 0 (or none) is as usual, from 2 on goes last.
 * @throws {JubakoError} INVALID_INPUT - it is no whole number from 0.
 */
export function priorityOf(parameters: Parameters | undefined): Priority {
  const value = parameters?.['priority'];
  if (value === undefined || value === 0) return 'normal';
  if (value === 1) return 'high';
  if (isWhole(value) && value > 0) return 'low';
  throw unusable('priority', value, 'a whole number from 0 (as usual); 1 goes first');
}

/**
 * The request parameter `timeout`, in microseconds as in Triton → ms; Infinity where there is none, or 0.
 * @throws {JubakoError} INVALID_INPUT - it is no whole number from 0.
 */
export function timeoutMsOf(parameters: Parameters | undefined): number {
  const value = parameters?.['timeout'];
  if (value === undefined || value === 0) return Infinity;
  if (isWhole(value) && value > 0) return Number(value) / 1000;
  throw unusable('timeout', value, 'a whole number of microseconds from 0 (no limit)');
}

/** @throws {JubakoError} INVALID_INPUT - it is there and no boolean. */
export function flagOf(parameters: Parameters | undefined, name: string): boolean | undefined {
  const value = parameters?.[name];
  if (value === undefined || typeof value === 'boolean') return value;
  throw unusable(name, value, 'true or false');
}

function isWhole(value: ParameterValue): value is number | bigint {
  return typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
}

const MAX_SHOWN = 60;

function unusable(name: string, value: ParameterValue, wanted: string): JubakoError {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  const shown = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
  return new JubakoError('INVALID_INPUT', `Cannot use the parameter "${name}", which is ${shown}: wanted ${wanted}`);
}
