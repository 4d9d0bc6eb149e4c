import { resolveWorkers } from '../config/cpu-count.js';
import type { CommandName } from '../config/load-config.js';
import type { ServerConfig } from '../config/settings.js';
import { JubakoError } from '../errors.js';
import type { Manifest, MountManifest, RunnerManifest } from '../ipc/manifest.js';
import type { EmbeddedRunner } from '../ipc/worker-boot.js';
import type { Machine } from './machine.js';
import { workerMemoryBytes } from './plan-memory.js';
import { defaultCpusPerThread, planWorkers, threadVariables } from './plan-workers.js';

// What will run, as data: made from the configuration, the manifest and the machine, before anything is forked.

export interface Plan {
  /** Those of the runners first. */
  readonly pools: readonly PoolPlan[];
  /** Runners that answer elsewhere: name → addresses. */
  readonly remoteRunners: Readonly<Record<string, readonly string[]>>;
  /** Runners that live in every API worker. */
  readonly embedded: readonly EmbeddedRunnerPlan[];
  /** Foreign applications that HTTP workers pass requests on to. */
  readonly mounts: readonly MountManifest[];
  /** Resident memory above which a worker is replaced; Infinity: never. */
  readonly maxWorkerMemoryBytes: number;
}

export interface PoolPlan {
  /** `http`, `grpc` or `runner-<name>`: the prefix of its workers' names. */
  readonly name: string;
  readonly role: 'http' | 'grpc' | 'runner';
  readonly runner: string | null;
  readonly workers: readonly WorkerPlan[];
  /** Compute threads of each worker. */
  readonly threads: number;
  /** True: each worker listens on a unix socket of its own; false: connections come through the primary's port. */
  readonly hasSockets: boolean;
  /** Runners whose addresses the workers need. */
  readonly calls: readonly string[];
  /** True: the server starts without it where its workers cannot be started. */
  readonly mayFail: boolean;
}

export interface WorkerPlan {
  /** Added to the environment of the process. */
  readonly env: Readonly<Record<string, string>>;
  /** CPUs for the arithmetic of each compute thread. */
  readonly cpus: number;
  readonly device: string | null;
  /** The CPUs that it runs on, as `taskset` takes them: `0-3,8`; null: any. */
  readonly affinity: string | null;
}

export interface EmbeddedRunnerPlan extends EmbeddedRunner {
  readonly threads: number;
}

export interface PlanInput {
  readonly command: CommandName;
  readonly config: ServerConfig;
  readonly manifest: Manifest;
  readonly machine: Machine;
}

/** What runs on this machine. */
interface Placement {
  readonly here: readonly RunnerManifest[];
  readonly embedded: readonly RunnerManifest[];
  readonly apis: readonly { readonly role: 'http' | 'grpc'; readonly count: number }[];
}

/** @throws {JubakoError} CONFIG_INVALID - a runner is missing, from the service or from the runner map, or cannot be placed. */
export function makePlan(input: PlanInput): Plan {
  const { config, manifest, machine } = input;
  checkPlacement(input);
  const { here, embedded, apis } = placeRunners(input);
  const countOf = (runner: RunnerManifest): number => config.runnerWorkers ?? runner.workers;
  const apiWorkers = sum(apis.map(({ count }) => count));
  const threadsInAll =
    sum(here.map((runner) => countOf(runner) * runner.threads)) +
    sum(embedded.map(({ threads }) => threads * apiWorkers));
  const defaultCpus = defaultCpusPerThread(machine.cpus, threadsInAll);

  let cpusTaken = 0;
  const runnerPools = here.map((runner): PoolPlan => {
    const planned = planWorkers({ runner, count: countOf(runner), defaultCpus, machine, cpusTaken });
    cpusTaken = planned.cpusTaken;
    return {
      name: `runner-${runner.name}`,
      role: 'runner',
      runner: runner.name,
      workers: planned.workers,
      threads: runner.threads,
      hasSockets: input.command === 'serve',
      calls: runner.runners,
      mayFail: input.command === 'serve' && runner.model !== null && !config.strictModels,
    };
  });
  const embeddedPlans = embedded.map(({ name, threads, resources }): EmbeddedRunnerPlan => ({
    name,
    threads,
    cpus: resources.cpus ?? defaultCpus,
  }));
  const calls = manifest.runners.filter(isOfItsOwn).map(({ name }) => name);
  const apiPools = apis.map(({ role, count }) => apiPool(role, count, calls, embeddedPlans, machine));
  return {
    pools: [...runnerPools, ...apiPools],
    remoteRunners: config.runnerMap,
    embedded: embeddedPlans,
    mounts: apis.some(({ role }) => role === 'http') ? manifest.mounts : [],
    maxWorkerMemoryBytes: workerMemoryBytes({
      setting: config.maxWorkerMemoryBytes,
      cgroupBytes: machine.memoryLimitBytes,
      apiWorkers,
      runnerWorkers: sum(here.map(countOf)),
      embeds: embedded.length > 0,
    }),
  };
}

function placeRunners(input: PlanInput): Placement {
  const { command, config, manifest, machine } = input;
  const { apiWorkers, grpcWorkers } = resolveWorkers(config, machine.cpus);
  const embedded = manifest.runners.filter((runner) => !isOfItsOwn(runner));
  switch (command) {
    case 'serve': {
      const here = manifest.runners.filter(
        (runner) => isOfItsOwn(runner) && config.runnerMap[runner.name] === undefined,
      );
      const grpc = config.grpc ? [{ role: 'grpc' as const, count: grpcWorkers }] : [];
      return { here, embedded, apis: [{ role: 'http', count: apiWorkers }, ...grpc] };
    }
    case 'start-http-server':
    case 'start-grpc-server': {
      const needed = manifest.runners.filter(isOfItsOwn).map(({ name }) => name);
      requireRunners(`"${manifest.name}"`, needed, config.runnerMap);
      const isGrpc = command === 'start-grpc-server';
      return {
        here: [],
        embedded,
        apis: [isGrpc ? { role: 'grpc', count: grpcWorkers } : { role: 'http', count: apiWorkers }],
      };
    }
    case 'start-runner-server': {
      const runner = findRunner(input);
      requireRunners(`Runner "${runner.name}" of "${manifest.name}"`, runner.runners, config.runnerMap);
      return { here: [runner], embedded: [], apis: [] };
    }
    default:
      return command satisfies never;
  }
}

/** An embedded runner lives in the API workers: nobody else can reach it, and nothing of it runs elsewhere. */
function checkPlacement({ config, manifest }: PlanInput): void {
  const embedded = new Set(manifest.runners.filter((runner) => !isOfItsOwn(runner)).map(({ name }) => name));
  for (const name of embedded) {
    if (config.runnerMap[name] === undefined) continue;
    throw new JubakoError(
      'CONFIG_INVALID',
      `Cannot take runner "${name}" from the runner map: it is embedded in the API workers`,
    );
  }
  for (const { name, runners } of manifest.runners.filter(isOfItsOwn)) {
    const called = runners.find((other) => embedded.has(other));
    if (called === undefined) continue;
    throw new JubakoError(
      'SERVICE_INVALID',
      `Cannot serve "${manifest.name}": runner "${name}" has processes of its own and calls "${called}", which is embedded in the API workers`,
    );
  }
}

function apiPool(
  role: 'http' | 'grpc',
  count: number,
  calls: readonly string[],
  embedded: readonly EmbeddedRunnerPlan[],
  { env }: Machine,
): PoolPlan {
  const cpus = Math.max(1, ...embedded.map((runner) => runner.cpus));
  const worker: WorkerPlan = {
    env: embedded.length === 0 ? {} : threadVariables(cpus, env),
    cpus,
    device: null,
    affinity: null,
  };
  return {
    name: role,
    role,
    runner: null,
    workers: Array.from({ length: count }, () => worker),
    threads: sum(embedded.map(({ threads }) => threads)),
    hasSockets: false,
    calls,
    mayFail: false,
  };
}

function findRunner({ config, manifest }: PlanInput): RunnerManifest {
  const name = config.runnerName ?? '';
  const available = listNames(manifest.runners.filter(isOfItsOwn).map((runner) => runner.name));
  const runner = manifest.runners.find((candidate) => candidate.name === name);
  if (runner === undefined) {
    throw new JubakoError(
      'CONFIG_INVALID',
      `Runner "${name}" not found in the service "${manifest.name}", available runners: ${available}`,
    );
  }
  if (!isOfItsOwn(runner)) {
    throw new JubakoError(
      'CONFIG_INVALID',
      `Cannot start runner "${name}" alone: it is embedded in the API workers of "${manifest.name}"; runners with processes of their own: ${available}`,
    );
  }
  return runner;
}

function requireRunners(who: string, required: readonly string[], map: ServerConfig['runnerMap']): void {
  const given = Object.keys(map);
  if (required.every((name) => given.includes(name))) return;
  throw new JubakoError(
    'CONFIG_INVALID',
    `${who} requires runners ${required.join(', ')}, but only ${listNames(given)} are provided; ` +
      'give the others with --runner-map or --remote-runner name=address',
  );
}

function isOfItsOwn({ placement }: RunnerManifest): boolean {
  return placement === 'process';
}

function listNames(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ');
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
