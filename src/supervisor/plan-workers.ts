import type { RunnerManifest } from '../ipc/manifest.js';
import { JubakoError } from '../errors.js';
import { formatCpuList, shareCpus } from './cpu-list.js';
import type { Machine } from './machine.js';
import type { WorkerPlan } from './plan.js';

// What each worker of a runner gets of the machine. Pure.
// R1 What the user says wins: `resources.env` over the environment, both over what is worked out here.
// R2 The arithmetic threads of all runners together are no more than the CPUs, unless the user asks for more.

/** How OpenMP, MKL and OpenBLAS are told how many threads to start; all read it when they are loaded. */
const THREAD_VARIABLES = ['OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS'];

/** CPUs of a compute thread for which nothing is said. */
export function defaultCpusPerThread(cpus: number, threadsInAll: number): number {
  return Math.max(1, Math.floor(cpus / Math.max(1, threadsInAll)));
}

export interface WorkersInput {
  readonly runner: Pick<RunnerManifest, 'name' | 'threads' | 'resources'>;
  readonly count: number;
  /** For a compute thread for which the runner says nothing. */
  readonly defaultCpus: number;
  readonly machine: Pick<Machine, 'allowedCpus' | 'env'>;
  /** CPUs that are given away already: a runner that is pinned begins behind them. */
  readonly cpusTaken: number;
}

export interface PlannedWorkers {
  readonly workers: readonly WorkerPlan[];
  readonly cpusTaken: number;
}

/** @throws {JubakoError} CONFIG_INVALID - there are too few CPUs to give each worker its own. */
export function planWorkers({ runner, count, defaultCpus, machine, cpusTaken }: WorkersInput): PlannedWorkers {
  const { resources, threads } = runner;
  const wanted = resources.cpus ?? defaultCpus;
  const sets = resources.pinned ? pinnedSets(runner.name, count, wanted * threads, machine, cpusTaken) : [];
  const size = sets[0]?.length ?? wanted * threads;
  const cpus = resources.cpus ?? Math.max(1, Math.min(wanted, Math.floor(size / threads)));
  const workers = Array.from({ length: count }, (_, index): WorkerPlan => {
    const device = resources.devices[index % resources.devices.length] ?? null;
    const set = sets[index];
    return {
      env: {
        ...threadVariables(cpus, machine.env),
        ...resources.env,
        ...(device !== null && { CUDA_VISIBLE_DEVICES: device }),
      },
      cpus,
      device,
      affinity: set === undefined ? null : formatCpuList(set),
    };
  });
  return { workers, cpusTaken: cpusTaken + size * sets.length };
}

/** Those that the user's environment does not have. */
export function threadVariables(cpus: number, env: Machine['env']): Readonly<Record<string, string>> {
  const missing = THREAD_VARIABLES.filter((name) => env[name] === undefined || env[name] === '');
  return Object.fromEntries(missing.map((name) => [name, String(cpus)]));
}

function pinnedSets(
  name: string,
  count: number,
  wanted: number,
  { allowedCpus }: WorkersInput['machine'],
  cpusTaken: number,
): readonly number[][] {
  if (allowedCpus === undefined) {
    throw new JubakoError('CONFIG_INVALID', `Cannot pin runner "${name}" to CPUs: only Linux can do that`);
  }
  const share = Math.floor(allowedCpus.length / count);
  if (share === 0) {
    throw new JubakoError(
      'CONFIG_INVALID',
      `Cannot pin runner "${name}" to CPUs: it has ${count} workers, and this process may run on ` +
        `${allowedCpus.length} CPUs (${formatCpuList(allowedCpus)}); wanted fewer workers, or a runner that is not pinned`,
    );
  }
  return shareCpus(allowedCpus, count, Math.min(wanted, share), cpusTaken);
}
