// How much memory this process may use together with all others of its cgroup (a container's memory limit).
import { totalmem } from 'node:os';
import { cgroupFolders } from './cgroup.js';
import { readText, type ReadText } from './read-text.js';

/**
 * The tightest limit that the cgroup of this process and those above it set, in bytes; Infinity where none does.
 * Of version 2 `memory.high` counts as well: above it the kernel slows the whole cgroup to a crawl.
 *
 * @param machineBytes - what the machine has; a limit of no less is none.
 */
export function cgroupMemoryLimitBytes(read: ReadText = readText, machineBytes: number = totalmem()): number {
  let limitBytes = Number.POSITIVE_INFINITY;
  for (const { version, path } of cgroupFolders('memory', read)) {
    const files = version === 2 ? ['memory.max', 'memory.high'] : ['memory.limit_in_bytes'];
    for (const file of files) limitBytes = Math.min(limitBytes, parseMemoryLimit(read(`${path}/${file}`)));
  }
  return limitBytes < machineBytes ? limitBytes : Number.POSITIVE_INFINITY;
}

/** `536870912`; `max`, a missing or strange file → Infinity. Version 1 writes nearly 2^63 for no limit. */
export function parseMemoryLimit(text: string | undefined): number {
  const limitBytes = Number((text ?? '').trim());
  return limitBytes > 0 ? limitBytes : Number.POSITIVE_INFINITY;
}
