import { JubakoError } from '../errors.js';
import { dtypeFromWire, DTYPES, type NumericDtype } from './dtype.js';
import { formatShape, MAX_ELEMENTS, Tensor, tensorFromBytes, viewData } from './tensor.js';
import { utf8 } from './utf8.js';
import {
  FORM_BYTES,
  FORM_JSON,
  FORM_TENSOR,
  FORM_TREE,
  MAX_DEPTH,
  pad8,
  PART_HEAD_BYTES,
  PART_KEY,
  readU32,
  TREE_HEAD_BYTES,
  type Part,
} from './value-layout.js';

/** A body whose JSON is not parsed yet: who only passes it on, or parses it elsewhere, pays nothing. */
export type PeekedValue =
  | { readonly form: 'json'; readonly text: Uint8Array }
  | { readonly form: 'tensor'; readonly tensor: Tensor }
  | { readonly form: 'tree'; readonly decode: () => unknown };

/** @throws {JubakoError} LINK_PROTOCOL - the bytes are not what `encodeValue` writes. */
export function decodeValue(body: Uint8Array): unknown {
  switch (body[0]) {
    case FORM_JSON:
      return parseText(body, 1, body.byteLength);
    case FORM_TENSOR:
      return decodeTensor(body);
    case FORM_TREE:
      return decodeTree(body);
    case undefined:
    default:
      throw unknownForm(body);
  }
}

/** As `decodeValue`, without parsing JSON yet. @throws {JubakoError} LINK_PROTOCOL, for a tree from its `decode`. */
export function peekValue(body: Uint8Array): PeekedValue {
  switch (body[0]) {
    case FORM_JSON:
      return { form: 'json', text: body.subarray(1) };
    case FORM_TENSOR:
      return { form: 'tensor', tensor: decodeTensor(body) };
    case FORM_TREE:
      return { form: 'tree', decode: () => decodeTree(body) };
    case undefined:
    default:
      throw unknownForm(body);
  }
}

function decodeTensor(body: Uint8Array): Tensor {
  const end = partEnd(body, 0);
  if (end !== body.byteLength) throw malformed(`a tensor of ${end} bytes lies in a body of ${body.byteLength}`);
  return readTensor(body, 0);
}

/** Where the part at `at` ends, before its padding; checks that all of it lies in the body (V1). */
function partEnd(body: Uint8Array, at: number): number {
  if (at + PART_HEAD_BYTES > body.byteLength)
    throw malformed(`the body ends at ${body.byteLength}, inside the head of a part at ${at}`);
  const end = dataStart(body, at) + readU32(body, at + 4);
  if (end > body.byteLength) throw malformed(`a part reaches to ${end}, the body ends at ${body.byteLength}`);
  return end;
}

function dataStart(body: Uint8Array, at: number): number {
  return at + PART_HEAD_BYTES + (body[at] === FORM_TENSOR ? pad8((body[at + 2] as number) * 4) : 0);
}

/** `partEnd` has accepted the part at `at`. */
function readTensor(body: Uint8Array, at: number): Tensor {
  const code = body[at + 1] as number;
  const dtype = dtypeFromWire(code);
  if (dtype === undefined) throw malformed(`the dtype code ${code} is unknown`);
  const rank = body[at + 2] as number;
  const shape: number[] = [];
  let count = 1;
  for (let axis = 0; axis < rank; axis += 1) {
    const size = readU32(body, at + PART_HEAD_BYTES + axis * 4);
    shape.push(size);
    count *= size;
    if (count > MAX_ELEMENTS)
      throw malformed(`a tensor of shape ${formatShape(shape)}, … has more than ${MAX_ELEMENTS} elements`);
  }
  const start = dataStart(body, at);
  const dataBytes = readU32(body, at + 4);
  if (dtype === 'string') return new Tensor(dtype, shape, readStrings(body, start, dataBytes, count));
  const elementBytes = DTYPES[dtype].bytes;
  if (count * elementBytes !== dataBytes) {
    throw malformed(`a ${dtype} tensor of shape ${formatShape(shape)} has ${dataBytes} bytes`);
  }
  const dataAt = body.byteOffset + start;
  // What `tensorFromBytes` does, without the view in between: on the link every call comes this way, and always aligned.
  if (dataAt % elementBytes === 0) return new Tensor(dtype, shape, viewData(dtype, body.buffer, dataAt, count));
  return tensorFromBytes<NumericDtype>(dtype, shape, new Uint8Array(body.buffer, dataAt, dataBytes));
}

function readStrings(body: Uint8Array, start: number, dataBytes: number, count: number): string[] {
  if (count * 4 > dataBytes) throw malformed(`${count} strings lie in ${dataBytes} bytes`);
  const end = start + dataBytes;
  const elements: string[] = [];
  let at = start;
  for (let i = 0; i < count; i += 1) {
    const textAt = at + 4;
    at = textAt <= end ? textAt + readU32(body, at) : Infinity;
    if (at > end) throw malformed(`string ${i} of ${count} reaches past the end of its tensor`);
    elements.push(utf8.read(body, textAt, at));
  }
  if (at !== end) throw malformed(`${end - at} bytes follow the last string of a tensor`);
  return elements;
}

function decodeTree(body: Uint8Array): unknown {
  if (body.byteLength < TREE_HEAD_BYTES) throw malformed(`a tree has ${body.byteLength} bytes`);
  const textBytes = readU32(body, 4);
  const partCount = readU32(body, 8);
  let at = TREE_HEAD_BYTES + pad8(textBytes);
  if (at > body.byteLength) throw malformed(`a text of ${textBytes} bytes lies in a body of ${body.byteLength}`);
  if (partCount > (body.byteLength - at) / PART_HEAD_BYTES)
    throw malformed(`${partCount} parts lie in ${body.byteLength - at} bytes`);
  const parts: Part[] = [];
  for (let i = 0; i < partCount; i += 1) {
    const end = partEnd(body, at);
    parts.push(readPart(body, at));
    at = pad8(end);
  }
  if (at !== body.byteLength) throw malformed(`a tree of ${at} bytes lies in a body of ${body.byteLength}`);
  return withParts(parseText(body, TREE_HEAD_BYTES, TREE_HEAD_BYTES + textBytes), parts, 0);
}

function readPart(body: Uint8Array, at: number): Part {
  if (body[at] === FORM_TENSOR) return readTensor(body, at);
  if (body[at] === FORM_BYTES)
    return new Uint8Array(body.buffer, body.byteOffset + at + PART_HEAD_BYTES, readU32(body, at + 4));
  throw malformed(`the form ${body[at]} of a part is unknown`);
}

/** Puts the parts where their placeholders are; changes `value`, which nobody else has seen yet. */
function withParts(value: unknown, parts: readonly Part[], depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  // The containers of the sender, and one for a placeholder inside the deepest.
  if (depth > MAX_DEPTH) throw malformed(`a tree is nested more than ${MAX_DEPTH} levels deep`);
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i += 1) value[i] = withParts(value[i], parts, depth + 1);
    return value;
  }
  const fields = value as Record<string, unknown>;
  if (Object.hasOwn(fields, PART_KEY)) return partOf(fields, parts);
  for (const key of Object.keys(fields)) fields[key] = withParts(fields[key], parts, depth + 1);
  return fields;
}

function partOf(placeholder: Record<string, unknown>, parts: readonly Part[]): Part {
  const index = placeholder[PART_KEY];
  const part = typeof index === 'number' ? parts[index] : undefined;
  if (part === undefined) throw malformed(`a placeholder asks for part ${JSON.stringify(index)} of ${parts.length}`);
  return part;
}

function parseText(body: Uint8Array, start: number, end: number): unknown {
  const text = utf8.read(body, start, end);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new JubakoError('LINK_PROTOCOL', `Cannot read a value: ${(cause as Error).message}`, { cause });
  }
}

function unknownForm(body: Uint8Array): JubakoError {
  return malformed(body.byteLength === 0 ? 'the body is empty' : `the form ${body[0]} is unknown`);
}

function malformed(why: string): JubakoError {
  return new JubakoError('LINK_PROTOCOL', `Cannot read a value: ${why}`);
}
