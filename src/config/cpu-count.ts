// How many CPUs this process may use: what the machine has, cut by the quota of its cgroup (a container's CPU limit).
import { availableParallelism } from 'node:os';
import { cgroupFolders } from './cgroup.js';
import { readText, type ReadText } from './read-text.js';
import type { ServerConfig } from './settings.js';

/** At least 1; a quota of 1.25 counts as 2: rounding down would leave a quarter of a CPU idle. */
export function cpuCount(read: ReadText = readText, available: number = availableParallelism()): number {
  return Math.max(1, Math.min(available, Math.ceil(cgroupQuotaCpus(read))));
}

/** CPUs that the cgroup of this process and those above it grant; Infinity where none sets a quota. */
export function cgroupQuotaCpus(read: ReadText): number {
  let granted = Number.POSITIVE_INFINITY;
  for (const { version, path } of cgroupFolders('cpu', read)) {
    const quota =
      version === 2
        ? parseCpuMax(read(`${path}/cpu.max`))
        : parseCfsQuota(read(`${path}/cpu.cfs_quota_us`), read(`${path}/cpu.cfs_period_us`));
    granted = Math.min(granted, quota);
  }
  return granted;
}

/** `50000 100000` → 0.5; `max 100000`, a missing or strange file → Infinity. */
export function parseCpuMax(text: string | undefined): number {
  const [quota, period] = (text ?? '').trim().split(/\s+/);
  return parseCfsQuota(quota, period);
}

/** Both in µs; -1 stands for no quota. */
export function parseCfsQuota(quota: string | undefined, period: string | undefined): number {
  const cpus = Number(quota ?? Number.NaN) / Number(period ?? Number.NaN);
  return cpus > 0 ? cpus : Number.POSITIVE_INFINITY;
}

/** Worker processes that the API tiers get. */
export function resolveWorkers(
  config: Pick<ServerConfig, 'apiWorkers' | 'grpcWorkers'>,
  cpus: number,
): { readonly apiWorkers: number; readonly grpcWorkers: number } {
  const apiWorkers = config.apiWorkers ?? cpus;
  return { apiWorkers, grpcWorkers: config.grpcWorkers ?? apiWorkers };
}
