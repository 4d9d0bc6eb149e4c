import { JubakoError } from '../errors.js';
import type { LinkReadiness } from '../link/runner-links.js';
import type { ModelControl } from '../service/model-control.js';
import type { Readiness } from '../service/protocol-server.js';
import type { PrimaryAsks } from './primary-asks.js';
import { notConnected, notLoaded, oneAtATime, PROBE_MS } from './readiness.js';
import type { RunnerRoutes } from './runner-routes.js';

export interface ModelControlOptions {
  /** The setting `modelControl`. */
  readonly isOn: boolean;
  readonly routes: Pick<RunnerRoutes, 'absenceOf'>;
  /** See `RunnerLinks.probe`. */
  readonly links: { probe(withinMs: number, only: string): Promise<LinkReadiness> };
  readonly embedded: ReadonlyMap<string, { readonly isReady: boolean }>;
  readonly primary: Pick<PrimaryAsks, 'controlModels'>;
}

/** The runners behind models, as this worker reaches them; the primary starts and stops them. */
export function createModelControl(options: ModelControlOptions): ModelControl {
  const { routes, links, embedded, isOn, primary } = options;
  /** One for each runner, so that many who watch it are one question. */
  const probes = new Map<string, () => Promise<Readiness>>();
  const probeOf = (runner: string): (() => Promise<Readiness>) => {
    const known = probes.get(runner);
    if (known !== undefined) return known;
    const probe = oneAtATime(async (): Promise<Readiness> => {
      const { ready } = await links.probe(PROBE_MS, runner);
      return ready ? { ready } : { ready, reason: notConnected(runner) };
    });
    probes.set(runner, probe);
    return probe;
  };
  const control = async (action: 'load' | 'unload', runners: readonly string[]): Promise<void> => {
    if (!isOn) throw new JubakoError('FORBIDDEN', `Cannot ${action} models: the setting modelControl is off`);
    await primary.controlModels(action, runners);
  };
  return {
    async readinessOf(runner) {
      const local = embedded.get(runner);
      if (local !== undefined) return local.isReady ? { ready: true } : { ready: false, reason: notLoaded(runner) };
      const absence = routes.absenceOf(runner);
      return absence === undefined ? probeOf(runner)() : { ready: false, reason: absence.reason };
    },
    isUnloaded: (runner) => routes.absenceOf(runner)?.isUnloaded === true,
    load: (runners) => control('load', runners),
    unload: (runners) => control('unload', runners),
  };
}
