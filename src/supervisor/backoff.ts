/** A worker that was ready this long has proved itself: its next death counts as the first. */
export const STABLE_AFTER_MS = 10_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;

/**
 * Pause before a worker is started again, by the number of deaths in a row (1: the first).
 * The first restart is immediate: a single crash should cost nothing but the start; a loop should cost the machine nothing.
 */
export function backoffMs(deathsInARow: number): number {
  if (deathsInARow <= 1) return 0;
  return Math.min(FIRST_PAUSE_MS * 2 ** (deathsInARow - 2), LONGEST_PAUSE_MS);
}
