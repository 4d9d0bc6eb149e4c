import { formatShape, isTensor } from '../tensor/index.js';

const MAX_SHOWN_LENGTH = 60;

/** A value short enough for a message. */
export function preview(value: unknown): string {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (isTensor(value)) return `a ${value.dtype} tensor of shape ${formatShape(value.shape)}`;
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length > MAX_SHOWN_LENGTH ? `${text.slice(0, MAX_SHOWN_LENGTH - 3)}…` : text;
}

/** `['rows', 3, 'a/b']` → the JSON Pointer `/rows/3/a~1b`; that of the whole is `/` here, since people read it better. */
export function toPointer(path: readonly PropertyKey[]): string {
  if (path.length === 0) return '/';
  return path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
