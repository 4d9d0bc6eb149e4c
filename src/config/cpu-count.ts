// How many CPUs this process may use: what the machine has, cut by the quota of its cgroup (a container's CPU limit).
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { posix } from 'node:path';
import type { ServerConfig } from './settings.js';

const ROOT = '/sys/fs/cgroup';

/** Gives the content of a file, or undefined where it cannot be read. */
export type ReadText = (path: string) => string | undefined;

/** At least 1; a quota of 1.25 counts as 2: rounding down would leave a quarter of a CPU idle. */
export function cpuCount(read: ReadText = readText, available: number = availableParallelism()): number {
  return Math.max(1, Math.min(available, Math.ceil(cgroupQuotaCpus(read))));
}

/** CPUs that the cgroup of this process and those above it grant; Infinity where none sets a quota. */
export function cgroupQuotaCpus(read: ReadText): number {
  let granted = Number.POSITIVE_INFINITY;
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    // hierarchy:controllers:path; version 2 is hierarchy 0 without controllers (cgroups(7)).
    const [, hierarchy, controllers = '', path = '/'] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    if (hierarchy === '0' && controllers === '') {
      for (const folder of upwards(ROOT, path)) granted = Math.min(granted, parseCpuMax(read(`${folder}/cpu.max`)));
    } else if (controllers.split(',').includes('cpu')) {
      // Mounted under the list of its controllers, mostly with a link `cpu` to it.
      for (const mount of [`${ROOT}/cpu`, `${ROOT}/${controllers}`]) {
        for (const folder of upwards(mount, path)) {
          const quota = parseCfsQuota(read(`${folder}/cpu.cfs_quota_us`), read(`${folder}/cpu.cfs_period_us`));
          granted = Math.min(granted, quota);
        }
      }
    }
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
  cpus: number = cpuCount(),
): { readonly apiWorkers: number; readonly grpcWorkers: number } {
  const apiWorkers = config.apiWorkers ?? cpus;
  return { apiWorkers, grpcWorkers: config.grpcWorkers ?? apiWorkers };
}

/** The folder of a cgroup and those above it, up to the mount: inside a container only the mount may exist. */
function upwards(mount: string, path: string): string[] {
  const folders = [mount];
  let folder = mount;
  // A path outside the namespace is shown with `..`; normalized it stays below the mount.
  for (const part of posix.normalize(`/${path}`).split('/')) {
    if (part === '') continue;
    folder = `${folder}/${part}`;
    folders.push(folder);
  }
  return folders;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // no cgroup of that kind here: no quota from it
  }
}
