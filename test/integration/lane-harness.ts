import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { ComputeLane } from '#dist/compute/compute-lane.js';
import type { LaneJob } from '#dist/compute/lane.js';
import { LaneError } from '#dist/compute/lane.js';
import type { ThreadBoot, ThreadPayload, ThreadResult, WireTensor } from '#dist/compute/thread-messages.js';

export const PLACE = { worker: 2, thread: 1, cpus: 3, device: 'cuda:0' };

/** The boot of a lane that runs one of the runners of `lane-service.ts`. */
export function laneBoot(runner: string, changes: Partial<ThreadBoot> = {}): ThreadBoot {
  const url = new URL('./lane-service.js', import.meta.url).href;
  return { entry: { url, exportName: '', sources: [] }, runner, place: PLACE, calls: null, ...changes };
}

export function startLane(
  t: TestContext,
  runner = 'model',
  changes: Partial<ThreadBoot> = {},
  logger = pino({ level: 'silent' }),
): ComputeLane {
  const lane = new ComputeLane(laneBoot(runner, changes), logger);
  t.after(() => lane.close());
  return lane;
}

export function jsonJob(method: string, value: unknown, changes: Partial<LaneJob> = {}): LaneJob {
  const text = new Uint8Array(Buffer.from(JSON.stringify(value))); // a buffer of its own: it is transferred
  return job(method, { kind: 'json', text }, changes);
}

/** @param rows - of two numbers each. */
export function rowsJob(method: string, rows: readonly (readonly [number, number])[]): LaneJob {
  const tensor: WireTensor = {
    name: '',
    dtype: 'float32',
    shape: [rows.length, 2],
    data: Float32Array.from(rows.flat()),
  };
  return job(method, { kind: 'tensors', tensors: [tensor] }, { rows: rows.length });
}

function job(method: string, payload: ThreadPayload, changes: Partial<LaneJob>): LaneJob {
  return { method, rows: 1, payload, requestIds: ['request-1'], deadlineAtMs: undefined, ...changes };
}

/** The values of a JSON result, or the numbers of a lone tensor. */
export function valuesOf(result: ThreadResult): unknown[] {
  if (result.kind === 'tensors') return [...(result.tensors[0]?.data as Float32Array)];
  let from = 0;
  return result.ends.map((end) => {
    const text = Buffer.from(result.text.subarray(from, end)).toString();
    from = end;
    return JSON.parse(text) as unknown;
  });
}

/** Runs a method whose input and output are one JSON value. */
export async function ask(lane: ComputeLane, method: string, value: unknown = {}): Promise<unknown> {
  const { result } = await lane.run(jsonJob(method, value)).done;
  return valuesOf(result)[0];
}

/** For `assert.rejects`: a LaneError with this code, and a message that fits. */
export function isLaneError(code: string, message = /./): (thrown: unknown) => boolean {
  return (thrown) => thrown instanceof LaneError && thrown.error.code === code && message.test(thrown.error.message);
}

/** A stream of a lane as the test reads it. */
export class Reading {
  readonly values: unknown[] = [];
  readonly done: Promise<{ readonly computeMs: number }>;
  readonly #running;
  #wakers: (() => void)[] = [];

  constructor(lane: ComputeLane, job: LaneJob) {
    this.#running = lane.stream(job, (item) => {
      this.values.push(...valuesOf(item));
      for (const wake of this.#wakers.splice(0)) wake();
    });
    this.done = this.#running.done;
    this.done.catch(() => undefined); // the test looks when it wants to
  }

  pull(count: number): void {
    this.#running.pull(count);
  }

  abort(): void {
    this.#running.abort();
  }

  /** Resolves when so many numbers or values have come. */
  async has(count: number): Promise<void> {
    while (this.values.length < count) {
      await Promise.race([new Promise<void>((resolve) => this.#wakers.push(resolve)), this.done]);
    }
  }
}
