import { JubakoError } from '../errors.js';
import type { Manifest } from '../service/manifest.js';
import type { ModelControl } from '../service/model-control.js';
import type { Readiness } from '../service/protocol-server.js';
import type { Parameters } from './infer-request.js';
import type { Models } from './models.js';

// The models of this server as a repository: what there is, loading and unloading.
// R1 What is loaded and unloaded is a runner: all versions of a model, or all methods of a runner, under its name.

/** One row of the index. */
export interface ModelIndex {
  readonly name: string;
  readonly version: string;
  readonly state: 'READY' | 'UNAVAILABLE';
  /** Empty where it is ready. */
  readonly reason: string;
}

export class Repository {
  readonly #models: Models;
  readonly #control: ModelControl;
  readonly #unavailable: Manifest['unavailable'];

  constructor(models: Models, control: ModelControl, unavailable: Manifest['unavailable']) {
    this.#models = models;
    this.#control = control;
    this.#unavailable = unavailable;
  }

  /** @param onlyReady - leave out what isn't. */
  async index(onlyReady: boolean): Promise<readonly ModelIndex[]> {
    const readiness = new Map<string, Promise<Readiness>>();
    for (const { runner } of this.#models.list) {
      if (!readiness.has(runner)) readiness.set(runner, this.readinessOf(runner));
    }
    const rows: ModelIndex[] = [];
    for (const { name, version, runner } of this.#models.list) {
      const now = (await readiness.get(runner)) as Readiness;
      rows.push({
        name,
        version,
        state: now.ready ? 'READY' : 'UNAVAILABLE',
        reason: now.ready ? '' : now.reason,
      });
    }
    for (const { name, version, reason } of this.#unavailable)
      rows.push({ name, version, state: 'UNAVAILABLE', reason });
    return onlyReady ? rows.filter(({ state }) => state === 'READY') : rows;
  }

  readinessOf(runner: string): Promise<Readiness> {
    return this.#control.readinessOf(runner);
  }

  /** @throws {JubakoError} FORBIDDEN, NOT_FOUND, NOT_READY; INVALID_INPUT - a parameter that can't be honoured, or R1. */
  async load(name: string, parameters: Parameters | undefined): Promise<void> {
    for (const key of Object.keys(parameters ?? {})) {
      if (key === 'config' || key.startsWith('file:')) throw unserved(key, 'a model is loaded as its files say');
    }
    await this.#control.load(this.#runnersOf(name, 'load'));
  }

  /** @throws {JubakoError} as `load`. */
  async unload(name: string, parameters: Parameters | undefined): Promise<void> {
    if (parameters?.['unload_dependents'] === true) throw unserved('unload_dependents', 'unload the models one by one');
    await this.#control.unload(this.#runnersOf(name, 'unload'));
  }

  #runnersOf(name: string, action: string): readonly string[] {
    const versions = this.#models.allVersions(name);
    for (const model of versions) {
      if (model.isDefaultMethod && model.name === name) continue; // R1
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot ${action} the model "${name}": it is a method of the runner "${model.runner}", ${action} that`,
      );
    }
    return [...new Set(versions.map(({ runner }) => runner))];
  }
}

function unserved(name: string, why: string): JubakoError {
  return new JubakoError('INVALID_INPUT', `Cannot use the parameter "${name}": ${why}`);
}
