import { MAX_JSON_DEPTH, parseJson } from '../descriptor/json-value.js';
import { JubakoError } from '../errors.js';
import { peekValue } from '../tensor/index.js';

/**
 * A body of type application/vnd.jubako.value → the value: JSON under the same rules as a JSON body, with tensors in it.
 * @throws {JubakoError} INVALID_INPUT - it is none, or harmful.
 */
export function readValue(body: Buffer): unknown {
  try {
    const value = peekValue(body);
    switch (value.form) {
      case 'json':
        return parseJson(toBuffer(value.text));
      case 'tensor':
        return value.tensor;
      case 'tree':
        return withoutHarm(value.decode(), 0);
      default:
        return value satisfies never;
    }
  } catch (thrown) {
    const error = JubakoError.from(thrown);
    if (error.code !== 'LINK_PROTOCOL') throw error;
    throw new JubakoError('INVALID_INPUT', error.message, { cause: error });
  }
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** What `parseJson` sees in the bytes has to be looked for in a tree. */
function withoutHarm(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || isPart(value)) return value;
  if (depth >= MAX_JSON_DEPTH) throw harmful(`it is nested more than ${MAX_JSON_DEPTH} levels deep`);
  if (Object.hasOwn(value, '__proto__')) throw harmful('the key "__proto__" is not allowed');
  for (const child of Object.values(value)) withoutHarm(child, depth + 1);
  return value;
}

/** Neither a list nor an object of JSON. */
function isPart(value: object): boolean {
  return !Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype;
}

function harmful(why: string): JubakoError {
  return new JubakoError('INVALID_INPUT', `Cannot read the body: ${why}`);
}
