// CPUs by number, as the kernel and `taskset` write them: `0-3,8`.

/** `0-2,8` → [0, 1, 2, 8]. */
export function parseCpuList(text: string): readonly number[] {
  return text.split(',').flatMap((range) => {
    const [first = Number.NaN, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, offset) => first + offset);
  });
}

/** [8, 0, 1, 2] → `0-2,8`. */
export function formatCpuList(cpus: readonly number[]): string {
  const ranges: { first: number; last: number }[] = [];
  for (const cpu of [...cpus].sort((a, b) => a - b)) {
    const range = ranges.at(-1);
    if (range !== undefined && cpu === range.last + 1) range.last = cpu;
    else ranges.push({ first: cpu, last: cpu });
  }
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

/**
 * Sets of `size` CPUs, one for each of `count` workers, that have no CPU in common.
 *
 * @param allowed - at least `count * size` of them.
 * @param offset - where in `allowed` to begin, counted round: the next runner goes on where the last one ended.
 */
export function shareCpus(
  allowed: readonly number[],
  count: number,
  size: number,
  offset: number,
): readonly number[][] {
  return Array.from({ length: count }, (_, worker) =>
    Array.from({ length: size }, (_unused, i) => allowed[(offset + worker * size + i) % allowed.length] as number),
  );
}
