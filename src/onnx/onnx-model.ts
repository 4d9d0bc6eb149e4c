import { basename, dirname, resolve } from 'node:path';
import type { Dtype } from '../tensor/index.js';
import { readOnnxSignature, type OnnxPort } from './onnx-signature.js';

// X1 Rows of different callers share a run only where axis 0 is surely the batch: it may have any size in every input
//    and output, and where it has a name that is the same one everywhere, and not that of something else, such as the
//    length of a sequence.

/** A model as far as it can be known without running it. Plain data. */
export interface OnnxModel {
  /** Absolute. */
  readonly file: string;
  readonly inputs: readonly ModelPort[];
  readonly outputs: readonly ModelPort[];
  readonly batching: Batching;
}

export interface ModelPort {
  readonly name: string;
  readonly dtype: Dtype;
  /** -1 stands for any size. */
  readonly shape: readonly number[];
}

/** `unclear`: axis 0 may have any size everywhere, but may not be the batch (X1): batched only where that is asked for. */
export type Batching =
  { readonly kind: 'batched' } | { readonly kind: 'unclear' | 'impossible'; readonly reason: string };

/** Names of axes that hold one caller's data in an order; two callers' cannot be joined along them. */
const NOT_A_BATCH = /seq|len|time|step|frame|token|word|char|height|width/i;
const A_BATCH = /batch/i;
/** Names that exporters make up where they know none: tf2onnx, PyTorch with and without a list of dynamic axes, CNTK. */
const MADE_UP = /^unk__\d+$|_dynamic_axes_\d+$|_dim_\d+$|^None$|^\?$/;

/**
 * Reads the head of an ONNX file.
 * @throws {JubakoError} SERVICE_INVALID - as `readOnnxSignature`.
 */
export function readOnnxModel(file: string): OnnxModel & { readonly sources: readonly string[] } {
  const whole = resolve(file);
  const { inputs, outputs, weightFiles } = readOnnxSignature(whole);
  return {
    file: whole,
    inputs: inputs.map(toModelPort),
    outputs: outputs.map(toModelPort),
    batching: findBatching(inputs, outputs),
    sources: [whole, ...weightFiles.map((name) => resolve(dirname(whole), name))],
  };
}

/** `models/digits.onnx` → `digits`. */
export function stemOf(file: string): string {
  return basename(file).replace(/\.onnx$/i, '');
}

/** Whether calls of a model may share a run, and why not (X1). */
export function findBatching(inputs: readonly OnnxPort[], outputs: readonly OnnxPort[]): Batching {
  const ports = [
    ...inputs.map((port) => ({ port, label: `its input "${port.name}"` })),
    ...outputs.map((port) => ({ port, label: `its output "${port.name}"` })),
  ];
  for (const { port, label } of ports) {
    const [first] = port.shape;
    if (first === undefined) return { kind: 'impossible', reason: `${label} is a scalar` };
    if (typeof first === 'number') return { kind: 'impossible', reason: `axis 0 of ${label} always has ${first} rows` };
  }
  const named = ports.map(({ port, label }) => ({ axis: String(port.shape[0] ?? '?'), label }));
  const [reference, ...others] = named.filter(({ axis }) => !MADE_UP.test(axis));
  if (reference === undefined) return { kind: 'batched' };
  const { axis, label } = reference;
  const other = others.find((one) => one.axis !== axis);
  if (other !== undefined)
    return { kind: 'unclear', reason: `axis 0 is "${axis}" in ${label} and "${other.axis}" in ${other.label}` };
  if (NOT_A_BATCH.test(axis) && !A_BATCH.test(axis))
    return { kind: 'unclear', reason: `axis 0 is named "${axis}", which is no batch` };
  return { kind: 'batched' };
}

function toModelPort({ name, dtype, shape }: OnnxPort): ModelPort {
  return { name, dtype, shape: shape.map((size) => (typeof size === 'number' ? size : -1)) };
}
