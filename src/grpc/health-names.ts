import type { ModelControl } from '../service/model-control.js';
import type { Manifest } from '../service/manifest.js';
import type { IsServing } from './health.js';

export interface HealthNamesOptions {
  readonly manifest: Manifest;
  /** Full names of the services that are served. */
  readonly services: readonly string[];
  readonly isReady: IsServing;
  readonly models: Pick<ModelControl, 'readinessOf'>;
}

/**
 * What the health service can be asked for: the server and its services, which are ready together, and each runner by its
 * own name and by that of its model. A model of several versions is as ready as the version that it serves by default.
 */
export function healthNames(options: HealthNamesOptions): ReadonlyMap<string, IsServing> {
  const { manifest, services, isReady, models } = options;
  const names = new Map<string, IsServing>();
  const runner = (name: string, runnerName: string): void => {
    names.set(name, async () => (await models.readinessOf(runnerName)).ready);
  };
  for (const { name, model } of manifest.runners) {
    if (model !== null && (model.isDefault || !names.has(model.name))) runner(model.name, name);
  }
  for (const { name } of manifest.runners) runner(name, name);
  for (const service of ['', ...services]) names.set(service, isReady);
  return names;
}
