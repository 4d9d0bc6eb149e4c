import { JubakoError } from '../errors.js';
import type { RunnerDefinition, ServiceDefinition } from '../service/define.js';
import type { Descriptor, ValueSpec } from '../descriptor/descriptor.js';
import { allRunners } from '../service/manifest-of.js';
import type { Manifest, MethodManifest, RunnerManifest } from '../service/manifest.js';
import { DTYPES, type Dtype } from '../tensor/index.js';

// M1 A runner that says which version of which model it is serves its default method under that name and version.
// M2 Of every other runner each method is a model, `runner.method`; the name of the runner alone stands for its default
//    method. Their version is that of the service.
// M3 The default method: the only one, else `predict`, else the first. A method that streams is no model: ModelInfer has
//    one answer.

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
  readonly kind: ValueSpec['kind'];
  readonly list: readonly Port[];
  readonly byName: ReadonlyMap<string, Port>;
  /** `"ids", "mask"`, for messages. */
  readonly names: string;
}

/** One version of a model. */
export interface Model {
  readonly version: string;
  readonly runner: string;
  readonly method: string;
  readonly inputs: Ports;
  readonly outputs: Ports;
  /** The values of a `json` output → what `JSON.stringify` can write. */
  readonly toJson: (value: unknown) => unknown;
}

interface Versions {
  readonly byVersion: Map<string, Model>;
  /** Meant where a request names no version. */
  byDefault: Model;
}

const INPUT = 'input';
const OUTPUT = 'output';

/** The models of a service by name and version. */
export class Models {
  readonly #byName = new Map<string, Versions>();

  constructor(manifest: Manifest, service: ServiceDefinition) {
    const definitions = new Map(allRunners(service).map((runner) => [runner.name, runner]));
    const named: (readonly [string, Model, boolean])[] = [];
    for (const runner of manifest.runners) {
      const definition = definitions.get(runner.name);
      const version = runner.model?.version ?? manifest.version;
      const models = runner.methods.filter(isModel).map((method) => toModel(runner, method, version, definition));
      const model = models.find(({ method }) => method === 'predict') ?? models[0]; // M3
      if (model === undefined) continue;
      if (runner.model === null) for (const one of models) this.#add(`${runner.name}.${one.method}`, one, true);
      named.push([runner.model?.name ?? runner.name, model, runner.model?.isDefault ?? true]);
    }
    // After the methods: where a runner's name is also "runner.method" of another, the runner has it.
    for (const [name, , isDefault] of named) if (isDefault) this.#byName.delete(name);
    for (const [name, model, isDefault] of named) this.#add(name, model, isDefault);
  }

  /** @throws {JubakoError} NOT_FOUND - lists the models, or the versions that there are. */
  find(name: string, version: string): Model {
    const { byDefault, byVersion } = this.#versionsOf(name);
    if (version === '') return byDefault;
    const model = byVersion.get(version);
    if (model !== undefined) return model;
    const known = [...byVersion.keys()].map((one) => `"${one}"`).join(', ');
    const are = byVersion.size === 1 ? 'the version is' : 'the versions are';
    throw new JubakoError('NOT_FOUND', `Cannot find version "${version}" of the model "${name}": ${are} ${known}`);
  }

  /** The default version first. @throws {JubakoError} NOT_FOUND - lists the models. */
  versions(name: string): readonly string[] {
    const { byDefault, byVersion } = this.#versionsOf(name);
    return [...new Set([byDefault.version, ...byVersion.keys()])];
  }

  #versionsOf(name: string): Versions {
    const versions = this.#byName.get(name);
    if (versions !== undefined) return versions;
    const known = [...this.#byName.keys()].join(', ');
    throw new JubakoError(
      'NOT_FOUND',
      `Cannot find the model "${name}": the models are ${known === '' ? '(none)' : known}`,
    );
  }

  #add(name: string, model: Model, isDefault: boolean): void {
    const versions = this.#byName.get(name);
    if (versions === undefined) {
      this.#byName.set(name, { byDefault: model, byVersion: new Map([[model.version, model]]) });
      return;
    }
    versions.byVersion.set(model.version, model);
    if (isDefault) versions.byDefault = model;
  }
}

/** A method whose output is one value. */
type ModelMethod = MethodManifest & { readonly output: ValueSpec };

function isModel(method: MethodManifest): method is ModelMethod {
  return method.output.kind !== 'stream'; // M3
}

function toModel(
  { name }: RunnerManifest,
  method: ModelMethod,
  version: string,
  definition: RunnerDefinition | undefined,
): Model {
  const output = definition?.methods[method.name]?.output as Descriptor | undefined;
  return {
    version,
    runner: name,
    method: method.name,
    inputs: toPorts(method.input, INPUT),
    outputs: toPorts(method.output, OUTPUT),
    toJson: output === undefined ? (value): unknown => value : (value): unknown => output.toJson(value),
  };
}

/** @param otherwise - the name of a lone tensor or document that has none of its own. */
function toPorts(spec: ValueSpec, otherwise: string): Ports {
  const list = toPortList(spec, otherwise);
  return {
    kind: spec.kind,
    list,
    byName: new Map(list.map((port) => [port.name, port])),
    names: list.map((port) => `"${port.name}"`).join(', '),
  };
}

function toPortList(spec: ValueSpec, otherwise: string): Port[] {
  switch (spec.kind) {
    case 'json':
      return [toPort(otherwise, 'string', [-1])];
    case 'tensor':
      return [toPort(spec.name ?? otherwise, spec.dtype, spec.shape)];
    case 'tensors':
      return Object.entries(spec.fields).map(([name, field]) => toPort(name, field.dtype, field.shape));
    default:
      return spec satisfies never;
  }
}

function toPort(name: string, dtype: Dtype, shape: readonly number[]): Port {
  return { name, dtype, datatype: DTYPES[dtype].oip, shape };
}
