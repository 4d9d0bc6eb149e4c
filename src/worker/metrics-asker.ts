import type { PrimaryChannel } from '../ipc/channel.js';
import { JubakoError } from '../errors.js';
import type { Metrics } from '../telemetry/metrics.js';

/** A primary that does not answer must not hold a scrape for ever. */
const ANSWER_WITHIN_MS = 2000;

export interface MetricsAsker {
  /** The text of all processes; rejects with NOT_READY where the primary does not answer. */
  ask(): Promise<string>;
  answered(requestId: number, text: string): void;
}

/** Asks the primary for the metrics of all processes; what this one has counted goes there first. */
export function createMetricsAsker(channel: PrimaryChannel, metrics: Metrics): MetricsAsker {
  const waiting = new Map<number, (text: string) => void>();
  let nextId = 1;
  return {
    ask() {
      const requestId = nextId++;
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(requestId);
          reject(
            new JubakoError(
              'NOT_READY',
              `Cannot collect the metrics: the primary did not answer within ${ANSWER_WITHIN_MS} ms`,
            ),
          );
        }, ANSWER_WITHIN_MS);
        waiting.set(requestId, (text) => {
          clearTimeout(timer);
          resolve(text);
        });
        channel.send({ type: 'metrics', delta: metrics.takeDelta() });
        channel.send({ type: 'metricsWanted', requestId });
      });
    },
    answered(requestId, text) {
      waiting.get(requestId)?.(text);
      waiting.delete(requestId);
    },
  };
}
