import type { MetricsDelta } from '../ipc/messages.js';
import { Metrics, MetricsTotals } from '../telemetry/metrics.js';
import type { WorkerHandle } from './worker-handle.js';

// Adds up what all processes have counted.
// H1 Who asks gets all that was counted before it asked, by every worker that answers in time: each is asked for what it has
//    not pushed yet. Who asks while others are being answered waits for the next round, since this one may have begun
//    before the last count.

/** A worker that is busy or stuck must not hold a scrape: of this one counts what it pushed last. */
const COLLECT_WITHIN_MS = 100;

export type CountingWorker = Pick<WorkerHandle, 'name' | 'generation' | 'listens' | 'send'>;

export class MetricsHub {
  /** What this process counts itself. */
  readonly own = new Metrics();
  readonly #totals = new MetricsTotals();
  readonly #workers: () => readonly CountingWorker[];
  /** Those of the round under way that have not answered. */
  #missing = new Set<CountingWorker>();
  #collectId = 0;
  #round: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #endRound: () => void = () => undefined;

  /** @param workers - every worker that may have a process at this moment. */
  constructor(workers: () => readonly CountingWorker[]) {
    this.#workers = workers;
  }

  /** @param collectId - of the round that it answers; null: none. */
  add(worker: CountingWorker, delta: MetricsDelta, collectId: number | null): void {
    this.#totals.add(sourceOf(worker), delta);
    if (collectId === this.#collectId) this.#onAnswer(worker);
  }

  /** It has ended: its counts stay, its gauges go. */
  forget(worker: CountingWorker): void {
    this.#totals.forget(sourceOf(worker));
    this.#onAnswer(worker);
  }

  /** Prometheus text of all processes together. */
  async text(): Promise<string> {
    await this.#collect();
    return this.#totals.render();
  }

  /** All series that begin with `prefix`, as they add up. */
  async counters(prefix: string): Promise<Readonly<Record<string, number>>> {
    await this.#collect();
    return this.#totals.counters(prefix);
  }

  /** Resolves when the totals are those of a moment after this call (H1). */
  #collect(): Promise<void> {
    if (this.#round === undefined) return this.#begin();
    this.#next ??= this.#round.then(() => {
      this.#next = undefined;
      return this.#round ?? this.#begin();
    });
    return this.#next;
  }

  #begin(): Promise<void> {
    this.#collectId += 1;
    const collectId = this.#collectId;
    this.#missing = new Set(this.#workers().filter(({ listens }) => listens));
    this.#round = this.#untilAnswered().then(() => {
      this.#round = undefined;
      this.#totals.add('primary', this.own.takeDelta());
    });
    for (const worker of this.#missing) worker.send({ type: 'deltaWanted', collectId });
    return this.#round;
  }

  #untilAnswered(): Promise<void> {
    if (this.#missing.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, COLLECT_WITHIN_MS);
      this.#endRound = (): void => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #onAnswer(worker: CountingWorker): void {
    if (this.#missing.delete(worker) && this.#missing.size === 0) this.#endRound();
  }
}

/** A worker and its successor run side by side for a while, under one name. */
function sourceOf({ name, generation }: CountingWorker): string {
  return `${name}.${generation}`;
}
