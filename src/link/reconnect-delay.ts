const FIRST_DELAY_MS = 25;
const MAX_DELAY_MS = 1000;

/**
 * How long to wait before the next attempt to connect: 25 ms, doubling to 1 s, of which a random half is cut off so that
 * many callers of one runner do not come back in step. Pure.
 *
 * @param failures - attempts that failed in a row, 0 after a connection that had worked.
 * @param random - 0 to 1.
 */
export function reconnectDelayMs(failures: number, random: number): number {
  const fullMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures, 10));
  return fullMs * (1 - random / 2);
}
