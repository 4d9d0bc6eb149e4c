// How much memory one worker may hold before it is replaced. Pure.

const MIB = 2 ** 20;
/** Part of the cgroup's limit that the workers may fill: the rest is room for the successor that starts beside a worker. */
const USABLE = 0.9;
/** What a process needs that holds no model. */
const PROCESS_BYTES = 128 * MIB;
/** Less is no limit for a process of Node under load: its successor would soon hold as much. */
const LEAST_BYTES = 256 * MIB;

export interface MemoryInput {
  /** The setting `maxWorkerMemoryBytes`: null: worked out, 0: never. */
  readonly setting: number | null;
  /** Infinity: none. */
  readonly cgroupBytes: number;
  readonly apiWorkers: number;
  readonly runnerWorkers: number;
  /** True: models live in the API workers as well. */
  readonly embeds: boolean;
}

/** Bytes; Infinity: no worker is ever replaced for its memory. */
export function workerMemoryBytes({ setting, cgroupBytes, apiWorkers, runnerWorkers, embeds }: MemoryInput): number {
  if (setting === 0) return Number.POSITIVE_INFINITY;
  if (setting !== null) return setting;
  const usable = cgroupBytes * USABLE;
  const share =
    runnerWorkers === 0 || embeds
      ? usable / Math.max(1, apiWorkers + runnerWorkers)
      : (usable - apiWorkers * PROCESS_BYTES) / runnerWorkers;
  return Math.max(LEAST_BYTES, Math.floor(share));
}
