import { JubakoError } from '../errors.js';
import { byteLengthOf, chunksOf } from './chunked-tensor.js';
import { DTYPES } from './dtype.js';
import { formatShape, isNumericTensor, Tensor } from './tensor.js';
import { utf8 } from './utf8.js';
import {
  FORM_BYTES,
  FORM_JSON,
  FORM_TENSOR,
  FORM_TREE,
  MAX_DEPTH,
  MAX_U32,
  pad8,
  PART_HEAD_BYTES,
  PART_KEY,
  TREE_HEAD_BYTES,
  writeU32,
  type Part,
} from './value-layout.js';

/** Bytes of a value; `parts` follow `head` and are the caller's own memory, which must not change until they are sent. */
export interface EncodedValue {
  readonly head: Uint8Array;
  readonly parts: readonly Uint8Array[];
  /** Of head and parts together. */
  readonly byteLength: number;
}

const MAX_RANK = 255;
const NO_PARTS: readonly Uint8Array[] = [];
const JSON_HEAD = Uint8Array.of(FORM_JSON);
const ZEROS = new Uint8Array(8);

/**
 * Follows `JSON.stringify` where there are no parts: `undefined` becomes null, NaN becomes null, `toJSON` is honoured.
 * @throws {JubakoError} INVALID_INPUT - the value refers to itself, is too deep, or holds what has no JSON (a bigint, a
 * typed array that is neither Tensor nor Uint8Array, the key "\u0000" beside tensors).
 */
export function encodeValue(value: unknown): EncodedValue {
  if (typeof value === 'object' && value !== null) {
    if (value instanceof Tensor) return encodeTensor(value as Tensor);
    if (holdsPart(value, undefined)) return encodeTree(value);
  }
  return encodeJson(value);
}

/** JSON text that exists already; it is neither copied nor checked. */
export function encodeJsonText(text: Uint8Array): EncodedValue {
  return { head: JSON_HEAD, parts: [text], byteLength: 1 + text.byteLength };
}

function encodeJson(value: unknown): EncodedValue {
  const text = stringify(value);
  const byteLength = 1 + utf8.byteLengthOf(text);
  const head = utf8.allocate(byteLength);
  head[0] = FORM_JSON;
  utf8.write(head, text, 1);
  return { head, parts: NO_PARTS, byteLength };
}

function encodeTensor(tensor: Tensor): EncodedValue {
  const parts = dataOf(tensor);
  const dataBytes = byteLengthOf(parts);
  const head = utf8.allocate(tensorHeadBytes(tensor));
  writeTensorHead(head, tensor, dataBytes);
  return { head, parts, byteLength: head.byteLength + dataBytes };
}

function encodeTree(value: object): EncodedValue {
  const parts: Part[] = [];
  const text = stringify(withPlaceholders(value, parts, []));
  const textBytes = utf8.byteLengthOf(text);
  const head = utf8.allocate(TREE_HEAD_BYTES + pad8(textBytes)).fill(0);
  head[0] = FORM_TREE;
  writeU32(head, 4, textBytes);
  writeU32(head, 8, parts.length);
  utf8.write(head, text, TREE_HEAD_BYTES);
  const pieces: Uint8Array[] = [];
  let byteLength = head.byteLength;
  for (const part of parts) {
    const data = part instanceof Tensor ? dataOf(part) : [part];
    const dataBytes = byteLengthOf(data);
    const partHead = utf8.allocate(part instanceof Tensor ? tensorHeadBytes(part) : PART_HEAD_BYTES);
    if (part instanceof Tensor) writeTensorHead(partHead, part, dataBytes);
    else writePartHead(partHead, FORM_BYTES, 0, 0, dataBytes);
    const padBytes = pad8(dataBytes) - dataBytes;
    pieces.push(partHead, ...data);
    if (padBytes > 0) pieces.push(ZEROS.subarray(0, padBytes));
    byteLength += partHead.byteLength + dataBytes + padBytes;
  }
  return { head, parts: pieces, byteLength };
}

function stringify(value: unknown): string {
  let text: string | undefined;
  try {
    // undefined comes back for undefined, functions and symbols: the declared return type of `stringify` leaves it out.
    text = JSON.stringify(value === undefined ? null : value);
  } catch (cause) {
    if (cause instanceof JubakoError) throw cause; // a `toJSON` of the user's chose its answer
    throw new JubakoError('INVALID_INPUT', `Cannot send the value: ${(cause as Error).message}`, { cause });
  }
  if (text === undefined)
    throw new JubakoError('INVALID_INPUT', `Cannot send the value: a ${typeof value} has no JSON`);
  return text;
}

/** True at the first Tensor or Uint8Array. Ancestors are noted only below the first level: most values are flat. */
function holdsPart(value: object, ancestors: object[] | undefined): boolean {
  if (isPart(value)) return true;
  if (hasToJson(value)) {
    const json = value.toJSON('');
    return typeof json === 'object' && json !== null && holdsPart(json, enter(value, ancestors ?? []));
  }
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i += 1) {
      const child: unknown = value[i];
      if (typeof child !== 'object' || child === null) continue;
      ancestors = enter(value, ancestors ?? []);
      if (holdsPart(child, ancestors)) return true;
      ancestors.pop();
    }
    return false;
  }
  for (const key in value) {
    const child: unknown = (value as Record<string, unknown>)[key];
    if (typeof child !== 'object' || child === null) continue;
    ancestors = enter(value, ancestors ?? []);
    if (holdsPart(child, ancestors)) return true;
    ancestors.pop();
  }
  return false;
}

/** A copy of the containers of `value`, with a placeholder for each part. */
function withPlaceholders(value: unknown, parts: Part[], ancestors: object[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (isPart(value)) return { [PART_KEY]: parts.push(value) - 1 };
  enter(value, ancestors);
  let copy: unknown;
  if (hasToJson(value)) copy = withPlaceholders(value.toJSON(''), parts, ancestors);
  else if (Array.isArray(value)) copy = value.map((child: unknown) => withPlaceholders(child, parts, ancestors));
  else copy = objectWithPlaceholders(value as Record<string, unknown>, parts, ancestors);
  ancestors.pop();
  return copy;
}

function objectWithPlaceholders(value: Record<string, unknown>, parts: Part[], ancestors: object[]): unknown {
  const copy = Object.create(null) as Record<string, unknown>; // without a prototype, "__proto__" is a key like any other
  for (const key of Object.keys(value)) {
    if (key === PART_KEY) {
      throw new JubakoError(
        'INVALID_INPUT',
        'Cannot send the value: the key "\\u0000" stands for tensors and is not allowed beside them',
      );
    }
    copy[key] = withPlaceholders(value[key], parts, ancestors);
  }
  return copy;
}

function isPart(value: object): value is Part {
  if (value instanceof Tensor || value instanceof Uint8Array) return true;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot send a ${value.constructor.name}: wanted a Tensor, a Uint8Array or what JSON can hold`,
    );
  }
  return false;
}

function hasToJson(value: object): value is { toJSON(key: string): unknown } {
  return typeof (value as { toJSON?: unknown }).toJSON === 'function';
}

/** Without this check, a value that refers to itself twice would be walked 2^depth times. */
function enter(value: object, ancestors: object[]): object[] {
  if (ancestors.includes(value)) throw new JubakoError('INVALID_INPUT', 'Cannot send the value: it refers to itself');
  if (ancestors.length >= MAX_DEPTH) {
    throw new JubakoError('INVALID_INPUT', `Cannot send the value: it is nested more than ${MAX_DEPTH} levels deep`);
  }
  ancestors.push(value);
  return ancestors;
}

function dataOf(tensor: Tensor): readonly Uint8Array[] {
  return isNumericTensor(tensor) ? chunksOf(tensor) : [encodeStrings((tensor as Tensor<'string'>).data)];
}

function encodeStrings(elements: readonly string[]): Uint8Array {
  let byteLength = 0;
  for (const element of elements) byteLength += 4 + utf8.byteLengthOf(element);
  const bytes = utf8.allocate(byteLength);
  let at = 0;
  for (const element of elements) {
    const elementBytes = utf8.write(bytes, element, at + 4);
    writeU32(bytes, at, elementBytes);
    at += 4 + elementBytes;
  }
  return bytes;
}

function tensorHeadBytes(tensor: Tensor): number {
  return PART_HEAD_BYTES + pad8(tensor.shape.length * 4);
}

function writeTensorHead(bytes: Uint8Array, tensor: Tensor, dataBytes: number): void {
  const { shape } = tensor;
  const rank = shape.length;
  if (rank > MAX_RANK) {
    throw new JubakoError('INVALID_INPUT', `Cannot send a tensor of ${rank} dimensions: wanted at most ${MAX_RANK}`);
  }
  writePartHead(bytes, FORM_TENSOR, DTYPES[tensor.dtype].wire, rank, dataBytes);
  let dimAt = PART_HEAD_BYTES;
  for (let axis = 0; axis < rank; axis += 1, dimAt += 4) {
    const size = shape[axis] as number;
    if (size > MAX_U32) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot send a tensor of shape ${formatShape(shape)}: wanted sizes up to ${MAX_U32}`,
      );
    }
    writeU32(bytes, dimAt, size);
  }
  if (rank % 2 === 1) writeU32(bytes, dimAt, 0);
}

function writePartHead(bytes: Uint8Array, form: number, dtype: number, rank: number, dataBytes: number): void {
  if (dataBytes > MAX_U32) {
    throw new JubakoError('TOO_LARGE', `Cannot send ${dataBytes} bytes at once: wanted at most ${MAX_U32}`);
  }
  bytes[0] = form;
  bytes[1] = dtype;
  bytes[2] = rank;
  bytes[3] = 0;
  writeU32(bytes, 4, dataBytes);
}
