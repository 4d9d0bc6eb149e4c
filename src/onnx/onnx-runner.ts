import { fileURLToPath } from 'node:url';
import { JubakoError } from '../errors.js';
import type { Tensor } from '../tensor/index.js';
import type { BatchOptions, ResourceOptions, RunnerDefinition } from '../service/define.js';
import type { Descriptor, TensorFields, TensorSpec, TensorsSpec } from '../descriptor/descriptor.js';
import { readOnnxModel, stemOf, type ModelPort, type OnnxModel } from './onnx-model.js';
import type { OnnxSession } from './onnx-session.js';
import { tensor, tensors } from '../descriptor/tensor-descriptor.js';

export interface OnnxRunnerOptions<Name extends string = string> {
  /** Default: the file's name without `.onnx`. */
  readonly name?: Name;
  readonly workers?: number;
  readonly threads?: number;
  readonly placement?: 'process' | 'embedded';
  readonly resources?: ResourceOptions;
  /**
   * Default: batched along axis 0 where the file shows that it is the batch: it may have any size, under one name, in
   * every input and output. Options: batched as they say, wherever axis 0 may have any size. `false`: every call is a run.
   */
  readonly batch?: BatchOptions | false;
  /** Runs the model once on zeros before it counts as ready. Default true. */
  readonly warmup?: boolean;
  /** True: NaN and infinities may go in and come out. Default false. */
  readonly allowNonFinite?: boolean;
  /** For onnxruntime's `InferenceSession.create`; wins over what Jubako sets itself. */
  readonly sessionOptions?: Readonly<Record<string, unknown>>;
}

/** A tensor where the model has one input (output), else one per name in the file. */
export type OnnxValue = Tensor | TensorFields;

/**
 * A runner for an ONNX file, run by onnxruntime-node. Names, dtypes, shapes and the batch axis are read from the file,
 * which is opened for its head only. Its one method is `predict`.
 * The types of the values can be named: `onnxRunner<'digits', Tensor<'float32'>, Tensor<'float32'>>(…)`.
 * @param file - a path relative to the working folder, or a URL: `new URL('digits.onnx', import.meta.url)`.
 * @throws {JubakoError} SERVICE_INVALID - the file cannot be read or served; names the input or output that is why.
 */
export function onnxRunner<
  const Name extends string = string,
  In extends OnnxValue = OnnxValue,
  Out extends OnnxValue = OnnxValue,
>(
  file: string | URL,
  options: OnnxRunnerOptions<Name> = {},
): RunnerDefinition<Name, { readonly predict: In }, { readonly predict: Out }> {
  const model = readOnnxModel(typeof file === 'string' ? file : fileURLToPath(file));
  return runnerOfModel(model, options) as RunnerDefinition<Name, { readonly predict: In }, { readonly predict: Out }>;
}

/** The same for a model that was read before. */
export function runnerOfModel(model: OnnxModel, options: OnnxRunnerOptions): RunnerDefinition {
  const { warmup = true, allowNonFinite = false, sessionOptions = {} } = options;
  const { workers, threads, placement, resources } = options;
  const batch = batchOf(model, options.batch);
  const isBatched = batch !== undefined;
  return {
    name: options.name ?? stemOf(model.file),
    // Imported where the model runs and nowhere else: API workers have no use for the native library.
    load: async (place) => (await import('./onnx-session.js')).openSession(model, place, { isBatched, sessionOptions }),
    ...(warmup && { warmup: (session: unknown) => (session as OnnxSession).warmUp() }),
    ...(workers !== undefined && { workers }),
    ...(threads !== undefined && { threads }),
    ...(placement !== undefined && { placement }),
    ...(resources !== undefined && { resources }),
    methods: {
      predict: {
        input: descriptorOf(model.inputs, { allowNonFinite, sameRows: isBatched }),
        output: descriptorOf(model.outputs, { allowNonFinite, sameRows: isBatched }),
        idempotent: true, // a model keeps nothing from one run to the next
        ...(isBatched && { batch }),
        run: (session, input) => (session as OnnxSession).run(input as OnnxValue),
      },
    },
  };
}

function batchOf({ file, batching }: OnnxModel, asked: BatchOptions | false | undefined): BatchOptions | undefined {
  if (asked === false) return undefined;
  if (asked === undefined) return batching.kind === 'batched' ? {} : undefined;
  if (batching.kind !== 'impossible') return asked;
  throw new JubakoError(
    'SERVICE_INVALID',
    `Cannot batch the model ${file}: ${batching.reason}; wanted an axis 0 of any size in every input and output`,
  );
}

function descriptorOf(
  ports: readonly ModelPort[],
  options: { readonly allowNonFinite: boolean; readonly sameRows: boolean },
): Descriptor<unknown, TensorSpec | TensorsSpec> {
  const { allowNonFinite, sameRows } = options;
  const [lone] = ports;
  if (lone !== undefined && ports.length === 1)
    return tensor(lone.dtype, lone.shape, { allowNonFinite, name: lone.name });
  const fields = ports.map(({ name, dtype, shape }) => [name, tensor(dtype, shape, { allowNonFinite })] as const);
  return tensors(Object.fromEntries(fields), { sameRows });
}
