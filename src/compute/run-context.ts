import type { Cancellation } from '../cancellation.js';
import type { AnyRunners, RunContext } from '../service/define.js';
import type { NestedRunners } from './nested-runners.js';
import { fromProcessMs } from './process-clock.js';
import type { JobMessage } from './thread-messages.js';

const NO_RUNNERS: AnyRunners = Object.freeze({});

/** What a model learns about its run. Signal and runners are made when the model asks for them: most never do. */
export class ContextOfRun implements RunContext {
  readonly requestIds: readonly string[];
  readonly #cancellation: Cancellation;
  readonly #nested: NestedRunners | null;
  readonly #deadlineAtProcessMs: number | undefined;
  #runners: AnyRunners | undefined = undefined;

  constructor(job: JobMessage, cancellation: Cancellation, nested: NestedRunners | null) {
    this.requestIds = job.requestIds;
    this.#deadlineAtProcessMs = job.deadlineAtProcessMs;
    this.#cancellation = cancellation;
    this.#nested = nested;
  }

  get signal(): AbortSignal {
    return this.#cancellation.signal;
  }

  get runners(): AnyRunners {
    if (this.#nested === null) return NO_RUNNERS;
    const deadlineAtProcessMs = this.#deadlineAtProcessMs;
    this.#runners ??= this.#nested.forRun({
      requestId: this.requestIds[0] ?? '',
      cancellation: this.#cancellation,
      deadlineAtMs: deadlineAtProcessMs === undefined ? undefined : fromProcessMs(deadlineAtProcessMs),
    });
    return this.#runners;
  }

  /** The run is over: the streams of other runners that it left open end. */
  end(): void {
    if (this.#runners !== undefined) this.#nested?.endRun(this.#runners);
  }
}
