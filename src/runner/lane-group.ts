import type { RunnerMap } from '../config/addresses.js';
import type { EntryPoint } from '../ipc/manifest.js';
import type { RunnerManifest } from '../service/manifest.js';
import type { LoadContext } from '../service/define.js';
import type { Logger } from '../telemetry/logger.js';
import { ComputeLane } from '../compute/compute-lane.js';
import type { Lane, RunningJob, RunningStream } from '../compute/lane.js';
import type { NestedCalls } from '../compute/thread-messages.js';

// The compute threads of one runner in one process. They begin together, and the end of one is the end of all.
// G1 Once a thread has ended no job settles any more: to callers it must look as the loss of the whole worker does, which
//    they can answer by repeating the call elsewhere, and not as an answer of the model.

export interface LaneGroupOptions {
  readonly entry: EntryPoint;
  readonly runner: RunnerManifest;
  /** Of the first thread. */
  readonly place: Omit<LoadContext, 'thread'>;
  /** For runners that call others. */
  readonly calls: NestedCalls;
  readonly logger: Logger;
}

export class LaneGroup {
  readonly lanes: readonly Lane[];
  /** Resolves when every thread has its model loaded and warm; rejects with what kept the first one from it. */
  readonly ready: Promise<void>;
  /** Resolves with the reason when the first thread has ended. */
  readonly ended: Promise<string>;
  readonly #lanes: readonly ComputeLane[];
  #hasEnded = false;

  constructor({ entry, runner, place, calls, logger }: LaneGroupOptions) {
    this.#lanes = Array.from(
      { length: runner.threads },
      (_, thread) =>
        new ComputeLane(
          {
            entry,
            runner: runner.name,
            place: { ...place, thread },
            calls: runner.runners.length === 0 ? null : calls,
          },
          logger,
        ),
    );
    this.lanes = this.#lanes.map((lane) => new LaneUntilEnd(lane, () => this.#hasEnded));
    this.ready = Promise.all(this.#lanes.map((lane) => lane.ready)).then(() => undefined);
    this.ended = Promise.race(
      this.#lanes.map((lane) =>
        lane.ended.then((reason) => {
          this.#hasEnded = true;
          return reason;
        }),
      ),
    );
    this.ready.catch(() => undefined); // whoever waits for it sees the failure; nobody may be waiting yet
  }

  /** Where the runners are that this one calls. */
  setRunnerMap(map: RunnerMap): void {
    for (const lane of this.#lanes) lane.setRunnerMap(map);
  }

  /** Ends the threads, whatever they are doing. */
  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }
}

/** G1 */
class LaneUntilEnd implements Lane {
  readonly #lane: Lane;
  readonly #hasEnded: () => boolean;

  constructor(lane: Lane, hasEnded: () => boolean) {
    this.#lane = lane;
    this.#hasEnded = hasEnded;
  }

  run(job: Parameters<Lane['run']>[0]): RunningJob {
    const running = this.#lane.run(job);
    return { done: this.#untilEnd(running.done), abort: () => running.abort() };
  }

  stream(...given: Parameters<Lane['stream']>): RunningStream {
    const running = this.#lane.stream(...given);
    return {
      done: this.#untilEnd(running.done),
      pull: (count) => running.pull(count),
      abort: () => running.abort(),
    };
  }

  #untilEnd<T>(done: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      done.then(resolve, (thrown: Error) => {
        // A turn later the end of the thread is known, where that was the cause.
        setImmediate(() => {
          if (!this.#hasEnded()) reject(thrown);
        });
      });
    });
  }
}
