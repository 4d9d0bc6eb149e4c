/** A worker that was too large from the beginning is replaced only when it has become so much larger. */
const GROWTH = 1.5;

export interface WorkerMemory {
  readonly rssBytes: number;
  /** What it held when it became ready. */
  readonly readyRssBytes: number;
}

/**
 * What to do about the memory of a worker. Pure.
 *
 * `replace`: it has grown beyond the limit, a new one will be smaller. `tooLarge`: it is above the limit, and so would a
 * new one be; to replace it would never end.
 */
export function decideMemory(
  { rssBytes, readyRssBytes }: WorkerMemory,
  limitBytes: number,
): 'keep' | 'replace' | 'tooLarge' {
  if (rssBytes <= limitBytes) return 'keep';
  if (readyRssBytes <= limitBytes || rssBytes >= readyRssBytes * GROWTH) return 'replace';
  return 'tooLarge';
}
