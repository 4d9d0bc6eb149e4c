import { createRequire } from 'node:module';
import { join } from 'node:path';
import type * as OrtModule from 'onnxruntime-node';
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { JubakoError } from '../errors.js';
import { Tensor, allocateData, elementCount, type Dtype } from '../tensor/index.js';
import type { LoadContext } from '../service/define.js';
import type { TensorFields } from '../descriptor/descriptor.js';
import type { ModelPort, OnnxModel } from './onnx-model.js';

// A model in onnxruntime. Loaded in compute threads only.
// R1 A session runs one call at a time and cannot be stopped: `run` of onnxruntime-node blocks its thread.

type Ort = typeof OrtModule;

/** onnxruntime writes each failed run into the standard error of the process; the caller is told, which is enough. */
const LOG_FATAL_ONLY = 4;

/**
 * Between runs onnxruntime's threads would spin for the next one, on CPUs that the API workers need: most of the CPU that
 * a small model costs (scripts/measure/onnx-threads.mjs).
 */
const NO_SPINNING = { session: { intra_op: { allow_spinning: '0' } } };

export interface OnnxSession {
  /** @throws {JubakoError} INVALID_INPUT - sizes that the model cannot take; USER_CODE - whatever else it fails with. */
  run(input: Tensor | TensorFields): Promise<Tensor | TensorFields>;
  /** One run on zeros, of size 1 wherever any size will do. @throws {JubakoError} SERVICE_INVALID */
  warmUp(): Promise<void>;
}

export interface SessionSettings {
  /** Axis 0 is the batch: what does not go together along it is not the caller's doing. */
  readonly isBatched: boolean;
  readonly sessionOptions: Readonly<Record<string, unknown>>;
}

/** @throws {JubakoError} SERVICE_INVALID - onnxruntime-node is missing, or it cannot load the model. */
export async function openSession(
  model: OnnxModel,
  { cpus, device }: Pick<LoadContext, 'cpus' | 'device'>,
  { isBatched, sessionOptions }: SessionSettings,
): Promise<OnnxSession> {
  const ort = await importOrt(model.file);
  try {
    const session = await ort.InferenceSession.create(model.file, {
      executionMode: 'sequential',
      intraOpNumThreads: cpus,
      logSeverityLevel: LOG_FATAL_ONLY,
      extra: NO_SPINNING,
      // The device is the only one that this process sees, so it has number 0.
      ...(device !== undefined && { executionProviders: ['cuda'] }),
      ...sessionOptions,
    });
    refuseOtherPorts(session, model);
    return new LoadedModel(ort, session, model, isBatched);
  } catch (cause) {
    const place = device === undefined ? '' : ` on device "${device}" by CUDA`;
    const message = `Cannot load the model ${model.file}${place}: ${messageOf(cause).trim()}`;
    throw new JubakoError('SERVICE_INVALID', message, { cause });
  }
}

/** A worker that starts later must not serve a file that was put in the place of the one that was described. */
function refuseOtherPorts({ inputNames, outputNames }: InferenceSession, { inputs, outputs }: OnnxModel): void {
  const found = [...inputNames, '', ...outputNames].sort();
  const described = [...inputs, { name: '' }, ...outputs].map(({ name }) => name).sort();
  if (found.join('\n') !== described.join('\n'))
    throw new TypeError('its inputs or outputs are others than when the server started; start or reload it again');
}

/** From where Jubako lies, or else from the working folder: a global `jubako` may serve with a local onnxruntime-node. */
async function importOrt(file: string): Promise<Ort> {
  try {
    return await import('onnxruntime-node');
  } catch (thrown) {
    if (!isMissing(thrown)) throw notLoadable(thrown);
  }
  try {
    return createRequire(join(process.cwd(), 'package.json'))('onnxruntime-node') as Ort;
  } catch (cause) {
    if (!isMissing(cause)) throw notLoadable(cause);
    throw new JubakoError(
      'SERVICE_INVALID',
      `Cannot run the model ${file}: onnxruntime-node is not installed; install it with \`npm install onnxruntime-node\` ` +
        '(and "onnxruntime-node-install=skip" in .npmrc where its download of CUDA libraries is not wanted or fails)',
      { cause },
    );
  }
}

function isMissing(thrown: unknown): boolean {
  if (!(thrown instanceof Error) || !('code' in thrown)) return false;
  const isNotFound = thrown.code === 'ERR_MODULE_NOT_FOUND' || thrown.code === 'MODULE_NOT_FOUND';
  return isNotFound && /'onnxruntime-node'/.test(thrown.message);
}

function notLoadable(cause: unknown): JubakoError {
  const message = `Cannot use onnxruntime-node: it is installed, but ${messageOf(cause)}`;
  return new JubakoError('SERVICE_INVALID', message, { cause });
}

class LoadedModel implements OnnxSession {
  readonly #ort: Ort;
  readonly #session: InferenceSession;
  readonly #file: string;
  readonly #inputs: readonly ModelPort[];
  readonly #outputs: readonly ModelPort[];
  readonly #outputNames: readonly string[];
  /** Whether a caller can choose sizes that do not go together; the descriptors have checked all others. */
  readonly #hasFreeSizes: boolean;

  constructor(ort: Ort, session: InferenceSession, { file, inputs, outputs }: OnnxModel, isBatched: boolean) {
    this.#ort = ort;
    this.#session = session;
    this.#file = file;
    this.#inputs = inputs;
    this.#outputs = outputs;
    this.#outputNames = outputs.map(({ name }) => name);
    this.#hasFreeSizes = inputs.some(({ shape }) => shape.includes(-1, isBatched ? 1 : 0));
  }

  async run(input: Tensor | TensorFields): Promise<Tensor | TensorFields> {
    const feeds: Record<string, OrtTensor> = {};
    for (const { name } of this.#inputs) {
      const given = input instanceof Tensor ? input : (input[name] as Tensor);
      feeds[name] = toOrt(this.#ort, given);
    }
    const results = await this.#runSession(feeds);
    const [lone] = this.#outputs;
    if (lone !== undefined && this.#outputs.length === 1) return fromOrt(lone, results);
    return Object.fromEntries(this.#outputs.map((port) => [port.name, fromOrt(port, results)]));
  }

  async warmUp(): Promise<void> {
    const zeros = this.#inputs.map(({ name, dtype, shape }) => [name, zerosOf(dtype, shape)] as const);
    const [lone] = zeros;
    try {
      await this.run(zeros.length === 1 && lone !== undefined ? lone[1] : Object.fromEntries(zeros));
    } catch (thrown) {
      // Sizes that we made up need not go together, and that says nothing about the model.
      if (this.#hasFreeSizes) return;
      const message = `Cannot warm up the model ${this.#file} with one row of zeros: ${messageOf(thrown)}`;
      throw new JubakoError('SERVICE_INVALID', message, { cause: thrown });
    }
  }

  async #runSession(feeds: Record<string, OrtTensor>): Promise<InferenceSession.OnnxValueMapType> {
    try {
      return await this.#session.run(feeds, this.#outputNames);
    } catch (cause) {
      throw toRunError(messageOf(cause), this.#hasFreeSizes, cause);
    }
  }
}

function toOrt(ort: Ort, { dtype, data, shape }: Tensor): OrtTensor {
  const tensor = new ort.Tensor(dtype as 'float32', data as Float32Array, shape);
  // It would make a Float16Array of them where there is one (Node 23), whose size its native half takes for 0:
  // https://github.com/microsoft/onnxruntime/pull/32323
  if (dtype === 'float16') Object.defineProperty(tensor, 'data', { value: data });
  return tensor;
}

function fromOrt({ name, dtype }: ModelPort, results: InferenceSession.OnnxValueMapType): Tensor {
  const result = results[name];
  if (result === undefined || result.type !== dtype) {
    throw new JubakoError(
      'USER_CODE',
      `Cannot use the output "${name}" of the model: it is ${result?.type ?? 'missing'}, the file says ${dtype}`,
    );
  }
  return new Tensor(dtype, result.dims, dataOf(dtype, result.data));
}

function dataOf(dtype: Dtype, data: OrtTensor['data']): OrtTensor['data'] {
  if (dtype !== 'float16' || data instanceof Uint16Array) return data;
  // Where JavaScript has a Float16Array, onnxruntime uses it; here halves are bit patterns.
  const { buffer, byteOffset, length } = data as unknown as Uint16Array;
  return new Uint16Array(buffer, byteOffset, length);
}

function zerosOf(dtype: Dtype, shape: readonly number[]): Tensor {
  const sizes = shape.map((size) => (size === -1 ? 1 : size));
  const count = elementCount(sizes);
  if (dtype === 'string') return new Tensor('string', sizes, new Array<string>(count).fill(''));
  return new Tensor(dtype, sizes, allocateData(dtype, count));
}

/** Sizes that do not fit the model or each other, in the words of onnxruntime 1.30. */
const WRONG_SIZES =
  /Got invalid dimensions for input|Invalid rank for input|dimension mismatch|Attempting to broadcast|mismatched dimensions|dimensions must match|cannot be reshaped|incompatible dimensions/i;
/** An index, such as the number of a word, that is in no table of the model. */
const WRONG_INDEX = /out of data bounds|out of bounds|must be within the inclusive range/i;

/** What a failed run means to the caller. @param hasFreeSizes - whether sizes were the caller's to choose. */
export function toRunError(message: string, hasFreeSizes: boolean, cause: unknown): JubakoError {
  const isCallersFault = WRONG_INDEX.test(message) || (hasFreeSizes && WRONG_SIZES.test(message));
  if (!isCallersFault) return new JubakoError('USER_CODE', `Cannot run the model: ${message}`, { cause });
  return new JubakoError('INVALID_INPUT', `Cannot run the model on this input: ${plainWords(message)}`, { cause });
}

/** Without the places in onnxruntime's own source, which tell a client nothing. */
function plainWords(message: string): string {
  const [, node, status] = /while running (\w+) node\.[^]*?Status Message: ([^]*)/.exec(message) ?? [];
  const text = (status ?? message).replace(/^\S+\.(?:h|cc|cpp):\d+ /, '').replace(/^[^]*? was false\. /, '');
  const words = text.replace(/\s+/g, ' ').trim();
  return node === undefined ? words : `${node}: ${words}`;
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
