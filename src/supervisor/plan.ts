import { formatRunnerAddress } from '../config/addresses.js';
import { resolveWorkers } from '../config/cpu-count.js';
import type { CommandName } from '../config/load-config.js';
import type { ServerConfig } from '../config/settings.js';
import { JubakoError } from '../errors.js';
import type { Manifest } from '../ipc/manifest.js';

// What will run, as data: made from the configuration and the manifest, before anything is forked.

export interface Plan {
  /** In the order in which they are told to stop last: runners outlive the API workers that call them. */
  readonly pools: readonly PoolPlan[];
  /** Runner name → addresses for the API workers. */
  readonly runnerMap: Readonly<Record<string, readonly string[]>>;
}

export interface PoolPlan {
  /** `http`, `grpc` or `runner-<name>`: the prefix of its workers' names. */
  readonly name: string;
  readonly role: 'http' | 'grpc' | 'runner';
  readonly workers: number;
  readonly runner: string | null;
  /** For runner pools of `serve`: each worker's own socket; null: connections come through the primary's port. */
  readonly socketPaths: readonly string[] | null;
}

export interface PlanInput {
  readonly command: CommandName;
  readonly config: ServerConfig;
  readonly manifest: Manifest;
  /** CPUs that this process may use. */
  readonly cpus: number;
  /** Name of a socket → its path in the runtime folder. */
  readonly socketPath: (name: string) => string;
}

/** @throws {JubakoError} CONFIG_INVALID - a runner is missing, from the service or from the runner map. */
export function makePlan(input: PlanInput): Plan {
  const { command, config, manifest } = input;
  switch (command) {
    case 'serve': {
      const runnerPools = manifest.runners
        .filter(({ name }) => config.runnerMap[name] === undefined)
        .map((runner): PoolPlan => {
          const workers = config.runnerWorkers ?? runner.workers;
          const socketPaths = Array.from({ length: workers }, (_, index) =>
            input.socketPath(`${runner.name}.${index}`),
          );
          return { name: `runner-${runner.name}`, role: 'runner', workers, runner: runner.name, socketPaths };
        });
      const runnerMap: Record<string, readonly string[]> = { ...config.runnerMap };
      for (const { runner, socketPaths } of runnerPools) {
        if (runner !== null)
          runnerMap[runner] = (socketPaths ?? []).map((path) => formatRunnerAddress({ kind: 'unix', path }));
      }
      const apiPools = [apiPool('http', input), ...(config.grpc ? [apiPool('grpc', input)] : [])];
      return { pools: [...runnerPools, ...apiPools], runnerMap };
    }
    case 'start-http-server':
      return { pools: [apiPool('http', input)], runnerMap: requireRunners(input) };
    case 'start-grpc-server':
      return { pools: [apiPool('grpc', input)], runnerMap: requireRunners(input) };
    case 'start-runner-server':
      return { pools: [runnerPool(input)], runnerMap: {} };
    default:
      return command satisfies never;
  }
}

function apiPool(role: 'http' | 'grpc', { config, cpus }: PlanInput): PoolPlan {
  const { apiWorkers, grpcWorkers } = resolveWorkers(config, cpus);
  return { name: role, role, workers: role === 'grpc' ? grpcWorkers : apiWorkers, runner: null, socketPaths: null };
}

function runnerPool({ config, manifest }: PlanInput): PoolPlan {
  const available = manifest.runners.map(({ name }) => name);
  const runner = manifest.runners.find(({ name }) => name === config.runnerName);
  if (runner === undefined) {
    throw new JubakoError(
      'CONFIG_INVALID',
      `Runner "${config.runnerName ?? ''}" not found in the service "${manifest.name}", available runners: ${listNames(available)}`,
    );
  }
  return {
    name: `runner-${runner.name}`,
    role: 'runner',
    workers: config.runnerWorkers ?? runner.workers,
    runner: runner.name,
    socketPaths: null,
  };
}

function requireRunners({ config, manifest }: PlanInput): Plan['runnerMap'] {
  const required = manifest.runners.map(({ name }) => name);
  const given = Object.keys(config.runnerMap);
  if (required.some((name) => !given.includes(name))) {
    throw new JubakoError(
      'CONFIG_INVALID',
      `"${manifest.name}" requires runners ${required.join(', ')}, but only ${listNames(given)} are provided; ` +
        'give the others with --runner-map or --remote-runner name=address',
    );
  }
  return config.runnerMap;
}

function listNames(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ');
}
