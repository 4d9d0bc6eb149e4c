import { isUtf8 } from 'node:buffer';
import { JubakoError } from '../errors.js';

// J1 A body is refused before it is parsed where parsing, validating or writing it again could break this process.

/** Levels of arrays and objects that a JSON body may have; deeper ones overflow the stack of whoever walks them. */
export const MAX_JSON_DEPTH = 128;

/**
 * Bytes of a body → JSON value.
 * @throws {JubakoError} INVALID_INPUT - not UTF-8, not JSON, nested too deeply, or with a `__proto__` key.
 */
export function parseJson(bytes: Buffer, what = 'the body'): unknown {
  if (bytes.length === 0) throw new JubakoError('INVALID_INPUT', `Cannot read ${what} as JSON: it is empty`);
  if (!isUtf8(bytes)) throw new JubakoError('INVALID_INPUT', `Cannot read ${what} as JSON: it is not UTF-8`);
  if (bytes.length > MAX_JSON_DEPTH) refuseDeep(bytes, what);
  const text = bytes.toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new JubakoError('INVALID_INPUT', `Cannot read ${what} as JSON: ${(cause as Error).message}`, { cause });
  }
  // The escape \u005f could hide the underscore, hence the second test.
  if (text.includes('"__proto__"') || text.includes('\\u005')) refuseProto(value, what);
  return value;
}

function refuseDeep(bytes: Uint8Array, what: string): void {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i];
    if (inString) {
      if (byte === 0x5c)
        i += 1; // backslash: the next byte is no end of string
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) inString = true;
    else if (byte === 0x5b || byte === 0x7b) {
      depth += 1;
      if (depth > MAX_JSON_DEPTH) {
        throw new JubakoError(
          'INVALID_INPUT',
          `Cannot read ${what} as JSON: it is nested more than ${MAX_JSON_DEPTH} levels deep`,
        );
      }
    } else if (byte === 0x5d || byte === 0x7d) depth -= 1;
  }
}

function refuseProto(value: unknown, what: string): void {
  if (typeof value !== 'object' || value === null) return;
  if (Object.hasOwn(value, '__proto__')) {
    throw new JubakoError('INVALID_INPUT', `Cannot read ${what} as JSON: the key "__proto__" is not allowed`);
  }
  for (const child of Object.values(value)) refuseProto(child, what);
}
