import { BatchPlanner, type PlannedRun } from '#dist/batching/batch-planner.js';
import type { QueueEntry } from '#dist/batching/batch-queue.js';
import type { Policy, Run, SimulatedCall, Step } from './policy.js';
import type { Trace } from './trace.js';

interface Entry extends QueueEntry {
  readonly call: SimulatedCall;
}

/** The real planner, as the scheduler uses it. */
export class PlannerPolicy implements Policy {
  readonly name = 'jubako';
  readonly planner: BatchPlanner<Entry>;
  readonly #lanes: number;
  /** What is in the queue of each call. */
  readonly #queued = new Map<SimulatedCall, Entry>();
  #running = 0;

  constructor({ models, lanes }: Pick<Trace, 'models' | 'lanes'>) {
    this.#lanes = lanes;
    this.planner = new BatchPlanner<Entry>(
      models.map(({ maxSize, maxQueueSize, maxLatencyMs }) => ({
        batch: { maxSize, maxQueueSize, maxLatencyMs },
        concurrency: 1,
      })),
      lanes,
      (entry, rows) => {
        const rest = { ...entry, rows: entry.rows - rows };
        this.#queued.set(entry.call, rest);
        return [{ ...entry, rows }, rest];
      },
    );
  }

  arrive(call: SimulatedCall, nowMs: number): boolean {
    const { method, rows, batchKey, priority, deadlineAtMs } = call;
    if (this.planner.admit(method, rows, deadlineAtMs, nowMs, priority, batchKey) !== undefined) return false;
    const entry = { call, rows, batchKey, priority, queuedAtMs: nowMs, deadlineAtMs, left: false };
    this.#queued.set(call, entry);
    this.planner.push(method, entry, nowMs);
    return true;
  }

  leave(call: SimulatedCall): void {
    const entry = this.#queued.get(call);
    if (entry !== undefined) this.planner.remove(call.method, entry);
    this.#queued.delete(call);
  }

  step(nowMs: number): Step {
    const plan = this.planner.next(() => this.#running < this.#lanes, nowMs);
    if (plan.kind === 'idle' && this.planner.queuedRows > 0) throw new Error('A lane is left idle with rows waiting');
    if (plan.kind !== 'run') return plan;
    for (const { entry } of plan.late) this.leave(entry.call);
    for (const { call } of plan.entries) if (this.#queued.get(call)?.left === true) this.#queued.delete(call);
    return {
      ...plan,
      parts: plan.entries.map(({ call, rows }) => ({ call, rows })),
      late: plan.late.map(({ entry }) => entry.call),
    };
  }

  started({ method, batchKey, rows }: Run, nowMs: number): PlannedRun {
    this.#running += 1;
    return this.planner.started(method, batchKey, rows, nowMs);
  }

  finished(token: unknown, _run: Run, nowMs: number): void {
    this.#running -= 1;
    this.planner.finished(token as PlannedRun, true, nowMs);
  }
}
