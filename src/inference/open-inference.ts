import { JubakoError } from '../errors.js';
import type { ProtocolServerOptions, Readiness } from '../service/protocol-server.js';
import { Inference } from './inference.js';
import { EXTENSIONS, toConfig, toMetadata, type ModelConfig, type ModelMetadata } from './model-info.js';
import { Models, type Model } from './models.js';
import { STATISTICS_PREFIX, StatisticsBook, readStatistics, type ModelStatistics } from './model-statistics.js';
import { Repository } from './repository.js';

export interface ServerMetadata {
  readonly name: string;
  readonly version: string;
  readonly extensions: readonly string[];
}

/** All that the Open Inference Protocol asks of a server, one per protocol that carries it. */
export class OpenInference {
  readonly serverMetadata: ServerMetadata;
  readonly inference: Inference;
  readonly repository: Repository;
  readonly #models: Models;
  readonly #options: ProtocolServerOptions;

  constructor(options: ProtocolServerOptions) {
    const { manifest, service, invoker, metrics, models: control } = options;
    this.#options = options;
    this.#models = new Models(manifest, service);
    this.inference = new Inference(invoker, new StatisticsBook(metrics));
    this.repository = new Repository(this.#models, control, manifest.unavailable);
    this.serverMetadata = { name: manifest.name, version: manifest.version, extensions: EXTENSIONS };
  }

  /**
   * The model that a request is for.
   * @throws {JubakoError} NOT_FOUND - also where it is unloaded; NOT_READY - it could not be loaded.
   */
  find(name: string, version: string): Model {
    const model = this.#models.find(name, version);
    if (this.#options.models.isUnloaded(model.runner))
      throw new JubakoError('NOT_FOUND', `Cannot find the model "${name}": it has been unloaded`);
    return model;
  }

  modelMetadata(name: string, version: string): ModelMetadata {
    return toMetadata(this.find(name, version), name, this.#models.versions(name));
  }

  modelConfig(name: string, version: string): ModelConfig {
    return toConfig(this.find(name, version), name);
  }

  /** @throws {JubakoError} NOT_FOUND - there is no such model; one that can't be called now is not ready. */
  async modelReadiness(name: string, version: string): Promise<Readiness> {
    let model: Model;
    try {
      model = this.#models.find(name, version);
    } catch (thrown) {
      const error = JubakoError.from(thrown);
      if (error.code === 'NOT_READY') return { ready: false, reason: error.message };
      throw error;
    }
    return this.repository.readinessOf(model.runner);
  }

  /** Of one version, of all versions of a model, or where `name` is empty of all models. */
  async statistics(name: string, version: string): Promise<readonly ModelStatistics[]> {
    const asked = this.#askedFor(name, version);
    const totals = await this.#options.counters(STATISTICS_PREFIX);
    return asked.map((model) => readStatistics(totals, model, name === '' ? model.name : name));
  }

  #askedFor(name: string, version: string): readonly Model[] {
    if (name === '') return this.#models.list;
    return version === '' ? this.#models.allVersions(name) : [this.#models.find(name, version)];
  }
}
