import { JubakoError } from '../errors.js';
import {
  Tensor,
  allocateData,
  encodeJsonText,
  encodeValue,
  isNumericTensor,
  type EncodedValue,
  type NumericDtype,
} from '../tensor/index.js';
import type { CallInput } from './call-input.js';
import type { ThreadPayload, ThreadResult, WireTensor } from './thread-messages.js';

// Rows in, rows out: joins the inputs of a batch into one payload for the model and splits its result again.
// A1 Row i of the result belongs to row i of the payload; nothing else ties an answer to its caller.

/** Rows `from` to `from + rows` of one call's input. */
export interface Slice {
  readonly input: CallInput;
  readonly from: number;
  readonly rows: number;
}

const COMMA = 0x2c;
const OPEN = 0x5b;
const CLOSE = 0x5d;

/** @param slices - at least one, all of one method and one batch key. @param batched - false: one slice, passed on as it is. */
export function joinBatch(slices: readonly Slice[], batched: boolean): ThreadPayload {
  const [first] = slices;
  if (first === undefined) throw new TypeError('Cannot join an empty batch');
  if (first.input.kind === 'json') return { kind: 'json', text: joinTexts(slices, batched) };
  const tensors = first.input.tensors.map(({ name, tensor }, index): WireTensor => {
    const rows = batched ? slices.reduce((sum, slice) => sum + slice.rows, 0) : tensor.rows;
    const shape = batched ? [rows, ...tensor.shape.slice(1)] : tensor.shape;
    return { name, dtype: tensor.dtype, shape, data: joinData(slices, index, tensor, shape, batched) };
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

function joinData(
  slices: readonly Slice[],
  index: number,
  like: Tensor,
  shape: readonly number[],
  batched: boolean,
): WireTensor['data'] {
  const perRow = shape.slice(1).reduce((product, size) => product * size, 1);
  const sources = slices.map(({ input, from, rows }) => {
    const tensor = input.kind === 'tensors' ? input.tensors[index]?.tensor : undefined;
    if (tensor === undefined) throw new TypeError('Cannot join inputs of different kinds');
    return {
      data: tensor.data,
      from: batched ? from * perRow : 0,
      to: batched ? (from + rows) * perRow : tensor.data.length,
    };
  });
  if (!isNumericTensor(like)) {
    return sources.flatMap(({ data, from, to }) => (data as readonly string[]).slice(from, to));
  }
  const joined = allocateData(
    like.dtype,
    sources.reduce((sum, { from, to }) => sum + to - from, 0),
  ) as Uint8Array;
  let at = 0;
  for (const { data, from, to } of sources) {
    joined.set((data as Uint8Array).subarray(from, to), at);
    at += to - from;
  }
  return joined;
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
  const [, ...rest] = wire.shape;
  const perRow = rest.reduce((product, size) => product * size, 1);
  const data = wire.data as Uint8Array;
  const part = Array.isArray(data)
    ? data.slice(from * perRow, (from + rows) * perRow)
    : data.subarray(from * perRow, (from + rows) * perRow);
  return new Tensor(wire.dtype, [rows, ...rest], part as never);
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
