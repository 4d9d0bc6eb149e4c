import type { MountManifest } from '../ipc/manifest.js';
import type { Plan, PoolPlan, WorkerPlan } from './plan.js';

// The plan in words: one line for each pool, the same at the start of a server and in `jubako check`.

const THREADS = /^(.+)_NUM_THREADS$/;

export interface PlanLine {
  /** Pool or runner that it is about; undefined: all of them. */
  readonly pool: string | undefined;
  readonly text: string;
}

export function planLines(plan: Plan): readonly PlanLine[] {
  const own = new Set(plan.pools.flatMap(({ runner }) => runner ?? []));
  const needed = new Set(plan.pools.flatMap(({ calls }) => calls));
  const remote = Object.entries(plan.remoteRunners).filter(([name]) => needed.has(name) && !own.has(name));
  const memory = plan.maxWorkerMemoryBytes;
  return [
    ...plan.pools.map((pool): PlanLine => ({
      pool: pool.name,
      text: pool.role === 'runner' ? runnerLine(pool) : apiLine(pool, plan),
    })),
    ...remote.map(([name, addresses]): PlanLine => ({
      pool: `runner-${name}`,
      text: `runner ${name}: elsewhere, at ${addresses.join(', ')}`,
    })),
    ...plan.mounts.map((mount): PlanLine => ({ pool: `mount ${mount.path}`, text: mountLine(mount) })),
    ...(memory === Number.POSITIVE_INFINITY
      ? []
      : [{ pool: undefined, text: `a worker that holds more than ${formatBytes(memory)} is replaced` }]),
  ];
}

function runnerLine(pool: PoolPlan): string {
  const cpus = pool.workers[0]?.cpus ?? 1;
  const facts = [
    `${count(pool.workers.length, 'worker')} x ${count(pool.threads, 'thread')}`,
    `${count(cpus, 'CPU')} each`,
    ...environmentOf(pool.workers),
    ...listOf('on device', pool.workers, ({ device }) => device),
    ...listOf('pinned to CPUs', pool.workers, ({ affinity }) => affinity),
    ...(pool.calls.length === 0 ? [] : [`calls ${pool.calls.join(', ')}`]),
  ];
  return `runner ${pool.runner ?? ''}: ${facts.join(', ')}`;
}

function apiLine(pool: PoolPlan, { embedded }: Plan): string {
  const runners = embedded.map(
    ({ name, threads, cpus }) =>
      `with runner ${name} embedded: ${count(threads, 'thread')}, ${count(cpus, 'CPU')} each`,
  );
  return [`${pool.name}: ${count(pool.workers.length, 'worker')}`, ...runners, ...environmentOf(pool.workers)].join(
    ', ',
  );
}

function mountLine({ path, upstream, command, stripPath }: MountManifest): string {
  const seen = stripPath ? '' : `, with ${path} in its paths`;
  if (command === null) return `mount ${path}: elsewhere, at ${upstream ?? ''}${seen}`;
  return `mount ${path}: "${command.argv.join(' ')}" on a loopback port of its own${seen}`;
}

/** What is the same for all workers; of variables that the service sets the names only, since they may be secrets. */
function environmentOf([worker]: readonly WorkerPlan[]): readonly string[] {
  const env = Object.entries(worker?.env ?? {}).filter(([name]) => name !== 'CUDA_VISIBLE_DEVICES');
  const threads = new Map<string, string[]>();
  for (const [name, value] of env) {
    const [, library] = THREADS.exec(name) ?? [];
    if (library !== undefined) threads.set(value, [...(threads.get(value) ?? []), library]);
  }
  return [
    ...[...threads].map(([value, libraries]) => `${libraries.join('/')}_NUM_THREADS=${value}`),
    ...env.filter(([name]) => !THREADS.test(name)).map(([name]) => `sets ${name}`),
  ];
}

function listOf(
  what: string,
  workers: readonly WorkerPlan[],
  valueOf: (worker: WorkerPlan) => string | null,
): readonly string[] {
  const values = workers.map(valueOf).filter((value) => value !== null);
  return values.length === 0 ? [] : [`${what} ${values.join(' | ')}`];
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function formatBytes(bytes: number): string {
  const [unit, size] = bytes >= 2 ** 30 ? (['GiB', 2 ** 30] as const) : (['MiB', 2 ** 20] as const);
  return `${Number((bytes / size).toFixed(1))} ${unit}`;
}
