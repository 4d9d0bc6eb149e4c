import { JubakoError } from '../errors.js';
import type { ServiceDefinition } from '../service/define.js';
import type { Descriptor, DescriptorSpec } from '../service/descriptor.js';
import type { Manifest, MethodManifest, RunnerManifest } from '../service/manifest.js';
import { DTYPES, type Dtype } from '../tensor/index.js';

// M1 Every method of every runner is a model, `runner.method`; the name of the runner alone stands for its default
//    method: the only one, else `predict`, else the first.

/** One named input or output of a model. */
export interface Port {
  readonly name: string;
  readonly dtype: Dtype;
  /** Name of the dtype in the protocol. */
  readonly datatype: string;
  /** -1 stands for any size. */
  readonly shape: readonly number[];
}

export interface Ports {
  /** `json`: one BYTES tensor whose elements are JSON documents, each a call of its own. */
  readonly kind: DescriptorSpec['kind'];
  readonly list: readonly Port[];
  readonly byName: ReadonlyMap<string, Port>;
  /** `"ids", "mask"`, for messages. */
  readonly names: string;
}

export interface Model {
  readonly runner: string;
  readonly method: string;
  readonly inputs: Ports;
  readonly outputs: Ports;
  /** The values of a `json` output → what `JSON.stringify` can write. */
  readonly toJson: (value: unknown) => unknown;
}

const INPUT = 'input';
const OUTPUT = 'output';

/** The models of a service by name, and the one version that is served. */
export class Models {
  readonly version: string;
  readonly #byName = new Map<string, Model>();

  constructor(manifest: Manifest, service: ServiceDefinition) {
    this.version = manifest.version;
    for (const runner of manifest.runners) {
      for (const method of runner.methods)
        this.#byName.set(`${runner.name}.${method.name}`, toModel(runner, method, service));
    }
    // After the methods: where a runner's name is also "runner.method" of another, the runner has it.
    for (const runner of manifest.runners) {
      const method = defaultMethodOf(runner);
      if (method !== undefined) this.#byName.set(runner.name, toModel(runner, method, service));
    }
  }

  /** @throws {JubakoError} NOT_FOUND - lists the models, or names the version that there is. */
  find(name: string, version: string): Model {
    const model = this.#byName.get(name);
    if (model === undefined) {
      const known = [...this.#byName.keys()].join(', ');
      throw new JubakoError(
        'NOT_FOUND',
        `Cannot find the model "${name}": the models are ${known === '' ? '(none)' : known}`,
      );
    }
    if (version !== '' && version !== this.version) {
      throw new JubakoError(
        'NOT_FOUND',
        `Cannot find version "${version}" of the model "${name}": the version is "${this.version}"`,
      );
    }
    return model;
  }
}

function defaultMethodOf(runner: RunnerManifest): MethodManifest | undefined {
  return runner.methods.find((method) => method.name === 'predict') ?? runner.methods[0];
}

function toModel(runner: RunnerManifest, method: MethodManifest, service: ServiceDefinition): Model {
  const definition = service.runners.find((one) => one.name === runner.name);
  const output = definition?.methods[method.name]?.output as Descriptor | undefined;
  return {
    runner: runner.name,
    method: method.name,
    inputs: toPorts(method.input, INPUT),
    outputs: toPorts(method.output as DescriptorSpec, OUTPUT),
    toJson: output === undefined ? (value): unknown => value : (value): unknown => output.toJson(value),
  };
}

function toPorts(spec: DescriptorSpec, onlyName: string): Ports {
  const list = toPortList(spec, onlyName);
  return {
    kind: spec.kind,
    list,
    byName: new Map(list.map((port) => [port.name, port])),
    names: list.map((port) => `"${port.name}"`).join(', '),
  };
}

function toPortList(spec: DescriptorSpec, onlyName: string): Port[] {
  switch (spec.kind) {
    case 'json':
      return [toPort(onlyName, 'string', [-1])];
    case 'tensor':
      return [toPort(onlyName, spec.dtype, spec.shape)];
    case 'tensors':
      return Object.entries(spec.fields).map(([name, field]) => toPort(name, field.dtype, field.shape));
    default:
      return spec satisfies never;
  }
}

function toPort(name: string, dtype: Dtype, shape: readonly number[]): Port {
  return { name, dtype, datatype: DTYPES[dtype].oip, shape };
}
