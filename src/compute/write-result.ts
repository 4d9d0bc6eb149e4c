import { JubakoError } from '../errors.js';
import type { MethodDefinition } from '../service/define.js';
import type { Descriptor, OutputSpec, TensorFields } from '../descriptor/descriptor.js';
import { misfit } from '../service/misfit.js';
import { copyData, elementCount, isNumericTensor, isTensor, Tensor } from '../tensor/index.js';
import type { ThreadResult, WireTensor } from './thread-messages.js';

// What a model gave → what crosses to the main thread.
// W1 It is checked: what leaves has the dtype, the shape, the rows and the elements that it claims.
// W2 It is in buffers of its own, since the model may go on using those that it gave. Only the input is the run's to give away:
//    an output that is the input itself moves on without a copy.

/**
 * The output of one run.
 * @param rows - those of a batched method's input; as many must be there.
 * @param inputs - the buffers of the run's input.
 */
export function writeResult(
  method: MethodDefinition,
  output: unknown,
  rows: number,
  label: string,
  inputs: readonly ArrayBuffer[],
): ThreadResult {
  if (method.batch === undefined) return writeValue(method.output, output, label, inputs);
  if (method.output.spec.kind === 'json') return writeJson(method.output, checkList(output, rows, label), label);
  const named = checkTensors(method.output, output, label);
  for (const [name, tensor] of named) {
    if (tensor.rows === rows) continue;
    const what = name === '' ? '' : ` of "${name}"`;
    throw new JubakoError('USER_CODE', `${label} gave ${tensor.rows} rows${what} for a batch of ${rows}`);
  }
  return writeTensors(named, inputs);
}

/** One value: the output of a method without batches, or one of a stream's. @param inputs - as those of `writeResult`. */
export function writeValue(
  descriptor: Descriptor<unknown, OutputSpec>,
  value: unknown,
  label: string,
  inputs: readonly ArrayBuffer[] = [],
): ThreadResult {
  if (descriptor.spec.kind === 'json') return writeJson(descriptor, [value], label);
  return writeTensors(checkTensors(descriptor, value, label), inputs);
}

type NamedTensors = readonly (readonly [string, Tensor])[];

function writeTensors(named: NamedTensors, inputs: readonly ArrayBuffer[]): ThreadResult {
  const free = [...inputs];
  const tensors = named.map(([name, tensor]): WireTensor => {
    const { dtype, shape } = tensor;
    return { name, dtype, shape, data: dataOf(tensor, free) };
  });
  return { kind: 'tensors', tensors };
}

/** @param free - buffers that may move as they are; the one that does is taken from it. */
function dataOf(tensor: Tensor, free: ArrayBuffer[]): WireTensor['data'] {
  if (!isNumericTensor(tensor)) return [...(tensor.data as readonly string[])];
  const { data } = tensor;
  const at = free.findIndex((buffer) => buffer === data.buffer && buffer.byteLength === data.byteLength);
  if (at === -1) return copyData(tensor);
  free.splice(at, 1);
  return data;
}

function checkTensors(descriptor: Descriptor<unknown, OutputSpec>, output: unknown, label: string): NamedTensors {
  refuseGone(output, label); // before anybody reads the data
  const checked = check(descriptor, output, label) as Tensor | TensorFields;
  return checked instanceof Tensor ? [['', checked]] : Object.entries(checked);
}

/** A tensor that was a run's input has no data any more when the run is over. */
function refuseGone(output: unknown, label: string): void {
  const values = isTensor(output)
    ? [output]
    : typeof output === 'object' && output !== null
      ? Object.values(output)
      : [];
  for (const value of values) {
    if (!isTensor(value) || value.data.length === elementCount(value.shape)) continue;
    throw new JubakoError(
      'USER_CODE',
      `${label} gave a tensor whose data is gone: the input of a run goes when the run is over, so keep a copy instead`,
    );
  }
}

function writeJson(
  descriptor: Descriptor<unknown, OutputSpec>,
  items: readonly unknown[],
  label: string,
): ThreadResult {
  let text = '';
  const ends: number[] = [];
  let end = 0;
  for (const item of items) {
    const json = JSON.stringify(descriptor.toJson(check(descriptor, item, label))) as string | undefined;
    if (json === undefined) throw new JubakoError('USER_CODE', `${label} gave a ${typeof item}, which has no JSON`);
    end += Buffer.byteLength(json);
    ends.push(end);
    text += json;
  }
  const bytes = new Uint8Array(end); // not from Buffer's pool: it is transferred
  Buffer.from(bytes.buffer).write(text);
  return { kind: 'json', text: bytes, ends };
}

function checkList(output: unknown, rows: number, label: string): readonly unknown[] {
  if (Array.isArray(output) && output.length === rows) return output;
  const given = Array.isArray(output) ? `a list of ${output.length}` : `a ${typeof output}`;
  throw new JubakoError(
    'USER_CODE',
    `${label} gave ${given} for a batch of ${rows}: wanted a list with one value per row`,
  );
}

function check(descriptor: Descriptor<unknown, OutputSpec>, value: unknown, label: string): unknown {
  try {
    return descriptor.check(value);
  } catch (thrown) {
    throw misfit(label, thrown);
  }
}
