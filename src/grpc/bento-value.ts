import { JubakoError } from '../errors.js';
import type { Struct, Value } from './bento-messages.js';

// JSON values as google.protobuf.Value.
// V1 Its numbers are doubles: a whole number beyond 2^53 that a client puts into it has lost its last digits before it
//    gets here. NaN and infinities, which it can carry and JSON can't, are refused.
// V2 What it writes is what JSON.stringify would write, so that HTTP and gRPC give the same answer.

/**
 * Levels of lists and objects that a Value can have: protobuf decoders, the one used here too, stop at 100 nested
 * messages, and each level takes two.
 */
export const MAX_VALUE_DEPTH = 49;

/** @throws {JubakoError} INVALID_INPUT - it has a number that JSON has not, or a `__proto__` key. */
export function fromValue(value: Value): unknown {
  switch (value.kind) {
    case 'numberValue': {
      const number = value.numberValue as number;
      if (!Number.isFinite(number))
        throw new JubakoError('INVALID_INPUT', `Cannot read json: it has the number ${number}; wanted finite numbers`);
      return number;
    }
    case 'stringValue':
      return value.stringValue;
    case 'boolValue':
      return value.boolValue;
    case 'listValue':
      return value.listValue?.values?.map(fromValue) ?? [];
    case 'structValue':
      return fromStruct(value.structValue?.fields);
    case 'nullValue':
    case undefined:
    default:
      return null;
  }
}

function fromStruct(fields: Struct['fields'] = {}): unknown {
  const object: Record<string, unknown> = {};
  for (const key of Object.keys(fields)) {
    // As in JSON bodies: whoever copies such an object may change the prototype of the copy.
    if (key === '__proto__')
      throw new JubakoError('INVALID_INPUT', 'Cannot read json: the key "__proto__" is not allowed');
    object[key] = fromValue(fields[key] as Value);
  }
  return object;
}

/**
 * Anything that JSON.stringify takes (V2): `undefined` becomes null, NaN becomes null, `toJSON` is honoured.
 * @throws what JSON.stringify throws, and a JubakoError where the value is nested more than MAX_VALUE_DEPTH levels deep.
 */
export function toValue(value: unknown): Value {
  return fromPlain(value, 0) ?? fromAny(value);
}

/** The same for an object whose fields are the whole message. */
export function toStruct(object: Readonly<Record<string, unknown>>): Struct {
  return toValue(object).structValue ?? {};
}

const NULL: Value = { nullValue: 0 };

/** The text of JSON.stringify has no cycles, no undefined and no toJSON left: all that is left is plain, or too deep. */
function fromAny(value: unknown): Value {
  const text = JSON.stringify(value) as string | undefined;
  const plain = text === undefined ? NULL : fromPlain(JSON.parse(text), 0);
  if (plain !== undefined) return plain;
  throw new JubakoError(
    'USER_CODE',
    `it is nested more than ${MAX_VALUE_DEPTH} levels deep, which google.protobuf.Value cannot hold`,
  );
}

/** Undefined: it holds something that is not what JSON.parse gives, or is nested too deep. */
function fromPlain(value: unknown, depth: number): Value | undefined {
  switch (typeof value) {
    case 'string':
      return { stringValue: wellFormed(value) };
    case 'number':
      return Number.isFinite(value) ? { numberValue: value === 0 ? 0 : value } : NULL; // JSON has no -0
    case 'boolean':
      return { boolValue: value };
    case 'object':
      if (value === null) return NULL;
      if (depth === MAX_VALUE_DEPTH || hasToJson(value)) return undefined;
      return Array.isArray(value) ? fromList(value, depth + 1) : fromObject(value, depth + 1);
    default:
      return undefined;
  }
}

function hasToJson(value: object): boolean {
  return typeof (value as { readonly toJSON?: unknown }).toJSON === 'function';
}

function fromList(list: readonly unknown[], depth: number): Value | undefined {
  const values = new Array<Value>(list.length);
  for (let i = 0; i < list.length; i += 1) {
    const value = fromPlain(list[i], depth);
    if (value === undefined) return undefined;
    values[i] = value;
  }
  return { listValue: { values } };
}

function fromObject(object: object, depth: number): Value | undefined {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) return undefined;
  const fields: Record<string, Value> = {};
  for (const key of Object.keys(object)) {
    const value = fromPlain((object as Record<string, unknown>)[key], depth);
    if (value === undefined) return undefined;
    const name = wellFormed(key);
    if (name === '__proto__') Object.defineProperty(fields, name, { value, enumerable: true });
    else fields[name] = value;
  }
  return { structValue: { fields } };
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/** Half a surrogate pair has no UTF-8, and protobufjs would write what no client can decode. */
export function wellFormed(text: string): string {
  return LONE_SURROGATE.test(text) ? Buffer.from(text, 'utf8').toString('utf8') : text;
}
