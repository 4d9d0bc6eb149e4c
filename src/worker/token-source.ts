import type { TokenSource } from '../access/create-access.js';
import type { Logger } from '../telemetry/logger.js';
import type { PrimaryAsks } from './primary-asks.js';

const WARN_EVERY_MS = 60_000;

/**
 * The tokens of all workers, from the primary. Where that does not answer in time the requests pass: a limit that nobody can
 * count is no reason to refuse what could be answered.
 */
export function createTokenSource(primary: Pick<PrimaryAsks, 'tokens'>, logger: Logger): TokenSource {
  let warnedAtMs = -Infinity;
  return {
    async take(client, wanted) {
      try {
        return await primary.tokens(client, wanted);
      } catch (err) {
        const nowMs = performance.now();
        if (nowMs - warnedAtMs >= WARN_EVERY_MS) {
          warnedAtMs = nowMs;
          logger.warn({ event: 'rate_limit.unknown', err }, 'requests pass uncounted: the primary does not answer');
        }
        return { granted: wanted, waitMs: 0 };
      }
    },
  };
}
