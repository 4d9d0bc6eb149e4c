import type { Descriptor } from '../descriptor/descriptor.js';
import { elementCount, type Dtype } from '../tensor/index.js';
import { defineService, type ApiDefinition, type RunnerDefinition, type ServiceDefinition } from '../service/define.js';
import type { ModelPort, OnnxModel } from '../onnx/onnx-model.js';
import { runnerOfModel, type OnnxRunnerOptions } from '../onnx/onnx-runner.js';

// The service that serves models nobody wrote code for. The module that the describer writes calls `modelService` with
// plain data; workers and compute threads import that module and read no model file by it.

export interface ModelServiceData {
  readonly name: string;
  readonly models: readonly ServedModel[];
}

/** One version of one model; each is a runner of its own. */
export interface ServedModel {
  readonly name: string;
  readonly version: string;
  /** Of the versions of its name, the one that is meant where none is said. */
  readonly isDefault: boolean;
  /** True: it also has a route with its version in it. */
  readonly hasVersions: boolean;
  readonly model: OnnxModel;
  readonly options: OnnxRunnerOptions;
}

/** An example with more elements would fill the documentation. */
const MAX_EXAMPLE_ELEMENTS = 256;

/** @throws {JubakoError} SERVICE_INVALID - a model's options ask for what its file does not allow. */
export function modelService({ name, models }: ModelServiceData): ServiceDefinition {
  const runners: RunnerDefinition[] = [];
  const apis: Record<string, ApiDefinition & { readonly output: Descriptor }> = {};
  for (const served of models) {
    const runner = toRunner(served);
    runners.push(runner);
    if (served.isDefault) apis[served.name] = toApi(served, runner, `/${served.name}`);
    if (served.hasVersions)
      apis[versionName(served)] = toApi(served, runner, `/${served.name}/versions/${served.version}`);
  }
  return defineService({ name, runners, apis });
}

/** The names that a model takes, for its APIs and its runner. */
export function namesOf(served: ServedModel): readonly string[] {
  return [...(served.isDefault ? [served.name] : []), ...(served.hasVersions ? [versionName(served)] : [])];
}

/** `digits` for the default version, `digits.v2` for another. */
function runnerName(served: ServedModel): string {
  return served.isDefault ? served.name : versionName(served);
}

function versionName({ name, version }: ServedModel): string {
  return `${name}.v${version}`;
}

function toRunner(served: ServedModel): RunnerDefinition {
  const { name, version, isDefault, model, options } = served;
  const runner = runnerOfModel(model, { ...options, name: runnerName(served) });
  return { ...runner, model: { name, version, isDefault } };
}

function toApi(
  { name, version, model }: ServedModel,
  runner: RunnerDefinition,
  route: string,
): ApiDefinition & { readonly output: Descriptor } {
  const method = runner.methods['predict'];
  if (method === undefined) throw new TypeError('A runner of a model has the method predict');
  const example = exampleOf(model.inputs);
  return {
    input: method.input,
    output: method.output as Descriptor,
    route,
    doc: `Runs version ${version} of the model ${name}.`,
    ...(example !== undefined && { example }),
    handler: (input, { runners }) => runners[runner.name]?.['predict']?.(input),
  };
}

/** Zeros of the smallest shape; undefined where that is long. */
function exampleOf(inputs: readonly ModelPort[]): unknown {
  const shapes = inputs.map(({ shape }) => shape.map((size) => (size === -1 ? 1 : size)));
  const count = shapes.reduce((sum, shape) => sum + elementCount(shape), 0);
  // Lists cannot say the other sizes of a shape that has a 0 in it.
  if (count > MAX_EXAMPLE_ELEMENTS || shapes.some((shape) => shape.includes(0))) return undefined;
  const values = inputs.map(({ name, dtype }, i) => [name, filled(shapes[i] ?? [], zeroOf(dtype))] as const);
  const [lone] = values;
  return lone !== undefined && values.length === 1 ? lone[1] : Object.fromEntries(values);
}

function filled(shape: readonly number[], zero: unknown): unknown {
  const [size, ...rest] = shape;
  return size === undefined ? zero : Array.from({ length: size }, () => filled(rest, zero));
}

function zeroOf(dtype: Dtype): unknown {
  if (dtype === 'string') return '';
  return dtype === 'bool' ? false : 0;
}
