import type { MethodManifest, RunnerManifest } from '#dist/ipc/manifest.js';

/** A runner's manifest with what the test does not care about left at the defaults. */
export function runnerManifest(
  given: Pick<RunnerManifest, 'name' | 'methods'> & Partial<RunnerManifest>,
): RunnerManifest {
  return {
    workers: 1,
    threads: 1,
    placement: 'process',
    resources: { cpus: null, devices: [], pinned: false, env: {} },
    runners: [],
    model: null,
    ...given,
  };
}

/** A method's manifest likewise. */
export function methodManifest(
  given: Pick<MethodManifest, 'name' | 'input' | 'output'> & Partial<MethodManifest>,
): MethodManifest {
  return { batch: null, concurrency: 1, idempotent: given.batch !== undefined, ...given };
}
