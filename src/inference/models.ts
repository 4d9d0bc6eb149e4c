import { JubakoError } from '../errors.js';
import type { Descriptor, MethodOutputSpec, ValueSpec } from '../descriptor/descriptor.js';
import { isStreamDescriptor } from '../descriptor/stream-descriptor.js';
import type { RunnerDefinition, ServiceDefinition } from '../service/define.js';
import { allRunners } from '../service/manifest-of.js';
import type { Manifest, MethodManifest, RunnerManifest } from '../service/manifest.js';
import { toPorts, type Ports } from './ports.js';

// M1 A runner that says which version of which model it is serves its default method under that name and version.
// M2 Of every other runner each method is a model, `runner.method`; the name of the runner alone stands for its default
//    method. Their version is that of the service.
// M3 The default method: the only one, else `predict`, else the first that gives one value, else the first.
// M4 A method that streams is a model that gives any number of answers to one request.
// M5 A version of the repository that isn't served is known too, with the reason.

/** One version of a model. */
export interface Model {
  /** The one of its names that lists and statistics use. */
  readonly name: string;
  readonly version: string;
  readonly runner: string;
  readonly method: string;
  /** M3 */
  readonly isDefaultMethod: boolean;
  readonly inputs: Ports;
  /** Of each answer. */
  readonly outputs: Ports;
  /** M4 */
  readonly isStream: boolean;
  /** Rows of one run at most; null: every call is a run of its own. */
  readonly maxBatchRows: number | null;
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
  /** Each model once, in the order of the manifest. */
  readonly list: readonly Model[];
  readonly #byName = new Map<string, Versions>();
  readonly #unavailable: Manifest['unavailable'];

  constructor(manifest: Manifest, service: ServiceDefinition) {
    this.#unavailable = manifest.unavailable;
    const definitions = new Map(allRunners(service).map((runner) => [runner.name, runner]));
    const all: Model[] = [];
    const named: (readonly [string, Model, boolean])[] = [];
    for (const runner of manifest.runners) {
      const version = runner.model?.version ?? manifest.version;
      const byDefault = defaultMethod(runner.methods);
      for (const method of runner.methods) {
        const isDefault = method === byDefault;
        const long = `${runner.name}.${method.name}`;
        const name = isDefault ? (runner.model?.name ?? runner.name) : long;
        const model = toModel({ name, version, isDefault }, runner, method, definitions.get(runner.name));
        if (runner.model === null) this.#add(long, model, true);
        else if (!isDefault) continue;
        all.push(model);
        if (isDefault) named.push([name, model, runner.model?.isDefault ?? true]);
      }
    }
    // After the methods: where a runner's name is also "runner.method" of another, the runner has it.
    for (const [name, , isDefault] of named) if (isDefault) this.#byName.delete(name);
    for (const [name, model, isDefault] of named) this.#add(name, model, isDefault);
    this.list = all.filter((model) => this.#byName.get(model.name)?.byVersion.get(model.version) === model);
  }

  /** @throws {JubakoError} NOT_FOUND - lists the models, or the versions that there are; NOT_READY - M5, why. */
  find(name: string, version: string): Model {
    const versions = this.#byName.get(name);
    const model = version === '' ? versions?.byDefault : versions?.byVersion.get(version);
    if (model !== undefined) return model;
    throw this.#missing(name, version, versions);
  }

  /** The default version first. @throws {JubakoError} NOT_FOUND - lists the models. */
  versions(name: string): readonly string[] {
    return this.allVersions(name).map(({ version }) => version);
  }

  /** The same as models. */
  allVersions(name: string): readonly Model[] {
    const versions = this.#byName.get(name);
    if (versions === undefined) throw this.#missing(name, '', undefined);
    return [...new Set([versions.byDefault, ...versions.byVersion.values()])];
  }

  #missing(name: string, version: string, versions: Versions | undefined): JubakoError {
    const lost = this.#unavailable.find((one) => one.name === name && (version === '' || one.version === version));
    if (lost !== undefined) {
      return new JubakoError(
        'NOT_READY',
        `Cannot use version "${lost.version}" of the model "${name}": it could not be loaded: ${lost.reason}`,
      );
    }
    if (versions === undefined) {
      const known = [...this.#byName.keys()].join(', ');
      return new JubakoError(
        'NOT_FOUND',
        `Cannot find the model "${name}": the models are ${known === '' ? '(none)' : known}`,
      );
    }
    const known = [...versions.byVersion.keys()].map((one) => `"${one}"`).join(', ');
    const are = versions.byVersion.size === 1 ? 'the version is' : 'the versions are';
    return new JubakoError('NOT_FOUND', `Cannot find version "${version}" of the model "${name}": ${are} ${known}`);
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

/** M3 */
function defaultMethod(methods: readonly MethodManifest[]): MethodManifest | undefined {
  const predict = methods.find(({ name }) => name === 'predict');
  return predict ?? methods.find(({ output }) => output.kind !== 'stream') ?? methods[0];
}

function toModel(
  called: { readonly name: string; readonly version: string; readonly isDefault: boolean },
  runner: RunnerManifest,
  method: MethodManifest,
  definition: RunnerDefinition | undefined,
): Model {
  const output = definition?.methods[method.name]?.output;
  const item: Pick<Descriptor, 'toJson'> | undefined =
    output !== undefined && isStreamDescriptor(output) ? output.of : output;
  return {
    name: called.name,
    version: called.version,
    runner: runner.name,
    method: method.name,
    isDefaultMethod: called.isDefault,
    inputs: toPorts(method.input, INPUT),
    outputs: toPorts(valueOf(method.output), OUTPUT),
    isStream: method.output.kind === 'stream',
    maxBatchRows: method.batch?.maxSize ?? null,
    toJson: item === undefined ? (value): unknown => value : (value): unknown => item.toJson(value),
  };
}

function valueOf(spec: MethodOutputSpec): ValueSpec {
  return spec.kind === 'stream' ? spec.of : spec;
}
