import { cpuCount } from '../config/cpu-count.js';
import { cgroupMemoryLimitBytes } from '../config/memory-limit.js';
import { readText } from '../config/read-text.js';
import type { ServerConfig } from '../config/settings.js';
import { parseCpuList } from './cpu-list.js';

/** What the plan is made for: read once, so that the plan itself is a function of data. */
export interface Machine {
  /** CPUs that all defaults follow, at least 1. */
  readonly cpus: number;
  /** Numbers of the CPUs that this process may run on; undefined: the system does not say. */
  readonly allowedCpus: readonly number[] | undefined;
  /** For all processes of the server together; Infinity: none. */
  readonly memoryLimitBytes: number;
  /** What the workers inherit. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export function readMachine(config: Pick<ServerConfig, 'cpus'>, env: Machine['env']): Machine {
  const [, allowed] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readText('/proc/self/status') ?? '') ?? [];
  return {
    cpus: config.cpus ?? cpuCount(),
    allowedCpus: allowed === undefined ? undefined : parseCpuList(allowed),
    memoryLimitBytes: cgroupMemoryLimitBytes(),
    env,
  };
}
