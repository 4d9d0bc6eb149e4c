import type { Priority } from '#dist/batching/batch-queue.js';

// What decides in a simulation: the planner of this project, or a rule to compare it with.

export type Outcome = 'waiting' | 'answered' | 'refused' | 'late' | 'gone';

export interface SimulatedCall {
  readonly id: number;
  readonly method: number;
  readonly rows: number;
  readonly batchKey: string;
  readonly priority: Priority;
  readonly arrivedAtMs: number;
  readonly deadlineAtMs: number | undefined;
  /** Index of the loop it belongs to; -1: open loop. */
  readonly loop: number;
  outcome: Outcome;
  /** Rows that have come out of the model. */
  doneRows: number;
  endedAtMs: number;
}

/** Rows of one call in one batch. */
export interface Part {
  readonly call: SimulatedCall;
  readonly rows: number;
}

export interface Run {
  readonly kind: 'run';
  readonly method: number;
  readonly batchKey: string;
  readonly parts: readonly Part[];
  readonly rows: number;
  readonly reason: string;
  /** Given up without a run. */
  readonly late: readonly SimulatedCall[];
}

export type Step =
  | Run
  /** `isExact`: it has timers that are better than those of Node. */
  | { readonly kind: 'wait'; readonly untilMs: number; readonly isExact?: boolean }
  | { readonly kind: 'idle' };

export interface Policy {
  readonly name: string;
  /** False: refused. */
  arrive(call: SimulatedCall, nowMs: number): boolean;
  /** Its caller has gone. */
  leave(call: SimulatedCall): void;
  /** What to do now, asked while a lane is free. */
  step(nowMs: number): Step;
  /** A run that it gave begins; its result comes back in `finished`. */
  started(run: Run, nowMs: number): unknown;
  finished(token: unknown, run: Run, nowMs: number): void;
}
