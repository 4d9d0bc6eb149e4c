import type { FromWorker } from '../ipc/messages.js';
import { Metrics, MetricsTotals } from '../telemetry/metrics.js';
import type { WorkerHandle } from './worker-handle.js';

/** Adds up what the workers counted, and gives the text of all of them to the worker that a scrape has reached. */
export class MetricsHub {
  /** What this process counts itself. */
  readonly own = new Metrics();
  readonly #totals = new MetricsTotals();

  onMessage(worker: WorkerHandle, message: FromWorker): void {
    if (message.type === 'metrics') this.#totals.add(sourceOf(worker), message.delta);
    if (message.type !== 'metricsWanted') return;
    this.#totals.add('primary', this.own.takeDelta());
    worker.send({ type: 'metricsText', requestId: message.requestId, text: this.#totals.render() });
  }

  forget(worker: WorkerHandle): void {
    this.#totals.forget(sourceOf(worker));
  }
}

/** A worker and its successor run side by side for a while, under one name. */
function sourceOf({ name, generation }: WorkerHandle): string {
  return `${name}.${generation}`;
}
