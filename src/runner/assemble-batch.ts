import { JubakoError } from '../errors.js';
import {
  DTYPES,
  Tensor,
  allocateData,
  elementCount,
  encodeJsonText,
  encodeValue,
  isNumericTensor,
  viewData,
  type EncodedValue,
  type NumericDtype,
} from '../tensor/index.js';
import { batchBuffers } from '../compute/batch-buffers.js';
import type { CallInput } from './call-input.js';
import type { ThreadPayload, ThreadResult, WireTensor } from '../compute/thread-messages.js';

// Rows in, rows out: joins the inputs of a batch into one payload for the model and splits its result again.
// A1 Row i of the result belongs to row i of the payload; nothing else ties an answer to its caller.
// A2 Every byte of a payload is written: buffers are used again.

/** Rows `from` to `from + rows` of one call's input. */
export interface Slice {
  readonly input: CallInput;
  readonly from: number;
  readonly rows: number;
}

const COMMA = 0x2c;
const OPEN = 0x5b;
const CLOSE = 0x5d;

/**
 * The payload of one run: its buffers are its own, and the inputs stay as they are, so that they can be joined again.
 * @param slices - at least one, all of one method and one batch key.
 * @param batched - false: one slice, passed on as it is.
 */
export function joinBatch(slices: readonly Slice[], batched: boolean): ThreadPayload {
  const [first] = slices;
  if (first === undefined) throw new TypeError('Cannot join an empty batch');
  if (first.input.kind === 'json') return { kind: 'json', text: joinTexts(slices, batched) };
  let rows = 0;
  for (const slice of slices) rows += slice.rows;
  const tensors = first.input.tensors.map(({ name, tensor: { dtype, shape } }, index): WireTensor => {
    const joined = batched ? [rows, ...shape.slice(1)] : shape;
    if (dtype === 'string') return { name, dtype, shape: joined, data: joinStrings(slices, index, batched) };
    return { name, dtype, shape: joined, data: joinNumbers(slices, index, dtype, joined, batched) };
  });
  return { kind: 'tensors', tensors };
}

function joinTexts(slices: readonly Slice[], batched: boolean): Uint8Array {
  const texts = slices.map(({ input }) => (input.kind === 'json' ? input.text : new Uint8Array()));
  if (!batched) return Uint8Array.prototype.slice.call(texts[0] ?? new Uint8Array());
  let length = 1;
  for (const text of texts) length += text.length + 1;
  const joined = new Uint8Array(length); // not from Buffer's pool: it is transferred to the thread
  let at = 0;
  for (const text of texts) {
    joined[at] = at === 0 ? OPEN : COMMA;
    joined.set(text, at + 1);
    at += text.length + 1;
  }
  joined[at] = CLOSE;
  return joined;
}

/** The one copy between the received bytes and the model. */
function joinNumbers(
  slices: readonly Slice[],
  index: number,
  dtype: NumericDtype,
  shape: readonly number[],
  batched: boolean,
): WireTensor['data'] {
  const count = elementCount(shape);
  const buffer = batchBuffers.take(count * DTYPES[dtype].bytes); // another batch is left in it: A2
  const joined = viewData(dtype, buffer, 0, count) as Uint8Array;
  let at = 0;
  for (const slice of slices) {
    const part = partOf(slice, index, batched) as Uint8Array;
    joined.set(part, at);
    at += part.length;
  }
  if (at !== count) throw new TypeError(`Cannot join a batch of ${count} elements from ${at}`);
  return joined;
}

function joinStrings(slices: readonly Slice[], index: number, batched: boolean): readonly string[] {
  return slices.flatMap((slice) => partOf(slice, index, batched) as readonly string[]);
}

/** The elements of one slice, without a copy where they are numbers. */
function partOf({ input, from, rows }: Slice, index: number, batched: boolean): WireTensor['data'] {
  const tensor = input.kind === 'tensors' ? input.tensors[index]?.tensor : undefined;
  if (tensor === undefined) throw new TypeError('Cannot join inputs of different kinds');
  return !batched || rows === tensor.shape[0] ? tensor.data : rowsOf(tensor.data, tensor.shape, from, rows);
}

/** Rows `from` to `from + rows` of a result, as a value; tensors are views, not copies. */
export function sliceResult(result: ThreadResult, from: number, rows: number, batched: boolean): ResultSlice {
  if (result.kind === 'json') {
    const start = from === 0 ? 0 : (result.ends[from - 1] ?? 0);
    return { kind: 'json', text: result.text.subarray(start, result.ends[from] ?? start) };
  }
  return {
    kind: 'tensors',
    tensors: result.tensors.map((wire) => ({
      name: wire.name,
      tensor: batched ? sliceTensor(wire, from, rows) : toTensor(wire),
    })),
  };
}

export type ResultSlice =
  | { readonly kind: 'json'; readonly text: Uint8Array }
  | { readonly kind: 'tensors'; readonly tensors: readonly { readonly name: string; readonly tensor: Tensor }[] };

function toTensor(wire: WireTensor): Tensor {
  return new Tensor(wire.dtype, wire.shape, wire.data as never);
}

function sliceTensor(wire: WireTensor, from: number, rows: number): Tensor {
  if (rows === wire.shape[0]) return toTensor(wire);
  const shape = [rows, ...wire.shape.slice(1)];
  return new Tensor(wire.dtype, shape, rowsOf(wire.data, wire.shape, from, rows));
}

/** The elements of some rows of a tensor: a view, where they are numbers. */
function rowsOf(
  data: WireTensor['data'],
  shape: readonly number[],
  from: number,
  rows: number,
): Uint8Array | readonly string[] {
  let perRow = 1;
  for (let axis = 1; axis < shape.length; axis += 1) perRow *= shape[axis] as number;
  const start = from * perRow;
  const end = start + rows * perRow;
  return ArrayBuffer.isView(data) ? (data as Uint8Array).subarray(start, end) : data.slice(start, end);
}

/** The answer of one call: its only slice, or the slices of a call that was split, joined along axis 0 again. */
export function encodeSlices(slices: readonly ResultSlice[]): EncodedValue {
  const [first] = slices;
  if (first === undefined) throw new TypeError('Cannot answer with no result');
  if (first.kind === 'json') return encodeJsonText(first.text);
  const named = first.tensors.map(({ name, tensor }, index) => {
    const parts = slices.map((slice) => (slice.kind === 'tensors' ? slice.tensors[index]?.tensor : undefined));
    return [name, slices.length === 1 ? tensor : concatTensors(parts)] as const;
  });
  const [lone] = named;
  return encodeValue(lone?.[0] === '' ? lone[1] : Object.fromEntries(named));
}

function concatTensors(parts: readonly (Tensor | undefined)[]): Tensor {
  const tensors = parts.filter((part) => part !== undefined);
  const [first] = tensors;
  if (first === undefined || tensors.length !== parts.length)
    throw new TypeError('Cannot join results of different kinds');
  const rest = first.shape.slice(1);
  if (tensors.some(({ shape }) => shape.slice(1).join() !== rest.join())) {
    throw new JubakoError('USER_CODE', 'Cannot join the parts of a split call: the model gave them different shapes');
  }
  const rows = tensors.reduce((sum, tensor) => sum + tensor.rows, 0);
  const shape = [rows, ...rest];
  if (!isNumericTensor(first))
    return new Tensor(
      'string',
      shape,
      tensors.flatMap(({ data }) => [...(data as readonly string[])]),
    );
  const data = allocateData(
    first.dtype,
    tensors.reduce((sum, tensor) => sum + tensor.data.length, 0),
  ) as Uint8Array;
  let at = 0;
  for (const tensor of tensors) {
    data.set(tensor.data as Uint8Array, at);
    at += tensor.data.length;
  }
  return new Tensor<NumericDtype>(first.dtype, shape, data);
}
