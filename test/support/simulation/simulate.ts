import { HOP_MS } from './costs.js';
import type { Policy, Run, SimulatedCall, Step } from './policy.js';
import { Random } from './random.js';
import { endAfterStalls, speedAt, type Arrival, type Trace } from './trace.js';

// Discrete events under an invented clock. What it holds to be true of the real runner:
// D1 A run takes the true cost of its rows, as the trace has it at its start, and the hop to the thread; and what the model
//    stands still meanwhile.
// D2 Calls of one turn of the loop are decided together, at its end. The end of a run is a turn of its own.
// D3 A timer fires no sooner than 1 ms from now, at whole ms, and a little late. An arrival decides anew.
// D4 A caller of a loop sends its next call some time after its answer, be that a result or a refusal.

/** Length of a turn of the event loop under load. */
const TURN_MS = 0.02;
const TIMER_SLACK_MS = 0.1;

export interface SimulatedRun extends Run {
  readonly startMs: number;
  endMs: number;
}

export interface Simulation {
  readonly calls: readonly SimulatedCall[];
  readonly runs: readonly SimulatedRun[];
  /** Longest time that a lane stood free while rows waited, in ms. */
  readonly longestIdleMs: number;
}

interface Event {
  readonly kind: 'arrive' | 'send' | 'end' | 'timer' | 'turn' | 'leave';
  readonly arrival?: Arrival;
  readonly loop?: number;
  readonly run?: SimulatedRun;
  readonly token?: unknown;
  readonly call?: SimulatedCall;
}

export function simulate(trace: Trace, seed: number, policy: Policy): Simulation {
  return new Simulator(trace, seed, policy).run();
}

class Simulator {
  readonly #trace: Trace;
  readonly #policy: Policy;
  readonly #costRandom: Random;
  readonly #loopRandom: Random;
  readonly #events = new EventList();
  readonly #calls: SimulatedCall[] = [];
  readonly #runs: SimulatedRun[] = [];
  #running = 0;
  #turnIsDue = false;
  /** Only the newest timer counts. */
  #timer: Event | undefined;
  #idleSinceMs = Infinity;
  #longestIdleMs = 0;

  constructor(trace: Trace, seed: number, policy: Policy) {
    this.#trace = trace;
    this.#policy = policy;
    this.#costRandom = new Random(trace.name, seed, 'cost');
    this.#loopRandom = new Random(trace.name, seed, 'loop');
    for (const arrival of arrivalsOf(trace, seed)) this.#events.add(arrival.atMs, { kind: 'arrive', arrival });
    trace.loops?.forEach(({ callers, fromMs = 0 }, loop) => {
      for (let i = 0; i < callers; i += 1) {
        this.#events.add(fromMs + this.#loopRandom.between(0, 1), { kind: 'send', loop });
      }
    });
  }

  run(): Simulation {
    for (let event = this.#events.take(); event !== undefined; event = this.#events.take()) {
      this.#handle(event, this.#events.nowMs);
    }
    return { calls: this.#calls, runs: this.#runs, longestIdleMs: this.#longestIdleMs };
  }

  #handle(event: Event, nowMs: number): void {
    switch (event.kind) {
      case 'arrive':
        if (event.arrival !== undefined) this.#arrive(event.arrival, -1, nowMs);
        return;
      case 'send':
        this.#send(event.loop ?? 0, nowMs);
        return;
      case 'leave':
        if (event.call?.outcome === 'waiting') {
          this.#policy.leave(event.call);
          this.#end(event.call, 'gone', nowMs);
        }
        return;
      case 'turn':
        this.#turnIsDue = false;
        this.#step(nowMs);
        return;
      case 'timer':
        if (event === this.#timer) this.#step(nowMs);
        return;
      case 'end':
        this.#finish(event.run as SimulatedRun, event.token, nowMs);
        return;
      default:
        event.kind satisfies never;
    }
  }

  #send(loop: number, nowMs: number): void {
    const { untilMs = this.#trace.durationMs } = this.#trace.loops?.[loop] ?? {};
    if (nowMs >= untilMs) return;
    this.#arrive({ atMs: nowMs, rows: 1 }, loop, nowMs);
  }

  #arrive(arrival: Arrival, loop: number, nowMs: number): void {
    const call: SimulatedCall = {
      id: this.#calls.length,
      method: arrival.method ?? 0,
      rows: arrival.rows,
      batchKey: arrival.batchKey ?? '',
      priority: arrival.priority ?? 'normal',
      arrivedAtMs: nowMs,
      deadlineAtMs: arrival.deadlineAtMs,
      loop,
      outcome: 'waiting',
      doneRows: 0,
      endedAtMs: Infinity,
    };
    this.#calls.push(call);
    if (!this.#policy.arrive(call, nowMs)) {
      this.#end(call, 'refused', nowMs);
      return;
    }
    if (arrival.leavesAtMs !== undefined) this.#events.add(arrival.leavesAtMs, { kind: 'leave', call });
    if (this.#turnIsDue || this.#running >= this.#trace.lanes) return;
    this.#turnIsDue = true;
    this.#events.add(nowMs + TURN_MS, { kind: 'turn' }); // D2
  }

  #step(nowMs: number): void {
    this.#timer = undefined;
    while (this.#running < this.#trace.lanes) {
      const step: Step = this.#policy.step(nowMs);
      if (step.kind === 'idle') break;
      if (step.kind === 'wait') {
        this.#timer = { kind: 'timer' };
        const waitMs = step.untilMs - nowMs;
        const timerMs = step.isExact === true ? waitMs : Math.max(1, Math.ceil(waitMs)) + TIMER_SLACK_MS; // D3
        this.#events.add(nowMs + timerMs, this.#timer);
        break;
      }
      for (const call of step.late) if (call.outcome === 'waiting') this.#end(call, 'late', nowMs);
      if (step.parts.length > 0) this.#start(step, nowMs);
    }
    this.#watchIdleness(nowMs);
  }

  #start(step: Run, nowMs: number): void {
    const endMs = endAfterStalls(this.#trace.stalls, nowMs, HOP_MS + this.#costOf(step, nowMs));
    const run: SimulatedRun = { ...step, startMs: nowMs, endMs };
    const token = this.#policy.started(step, nowMs);
    this.#running += 1;
    this.#runs.push(run);
    this.#events.add(run.endMs, { kind: 'end', run, token });
  }

  #costOf({ method, rows }: Run, nowMs: number): number {
    const { models, speed, noise } = this.#trace;
    const model = models[method];
    if (model === undefined) throw new TypeError(`There is no method ${method}`);
    const costMs = model.cost(rows) * speedAt(speed, nowMs);
    return noise === undefined ? costMs : costMs * this.#costRandom.logNormal(noise);
  }

  #finish(run: SimulatedRun, token: unknown, nowMs: number): void {
    this.#running -= 1;
    this.#policy.finished(token, run, nowMs);
    this.#step(nowMs);
    for (const { call, rows } of run.parts) {
      call.doneRows += rows;
      if (call.outcome === 'waiting' && call.doneRows === call.rows) this.#end(call, 'answered', nowMs);
    }
  }

  #end(call: SimulatedCall, outcome: SimulatedCall['outcome'], nowMs: number): void {
    call.outcome = outcome;
    call.endedAtMs = nowMs;
    if (call.loop === -1) return;
    const returnMs = this.#trace.loops?.[call.loop]?.returnMs(this.#loopRandom) ?? 0;
    this.#events.add(nowMs + returnMs, { kind: 'send', loop: call.loop }); // D4
  }

  /** From the end of a step that left a lane free with work to the next step. */
  #watchIdleness(nowMs: number): void {
    const isIdle = this.#timer !== undefined && this.#running < this.#trace.lanes;
    if (isIdle) this.#idleSinceMs = Math.min(this.#idleSinceMs, nowMs);
    else if (this.#idleSinceMs !== Infinity) {
      this.#longestIdleMs = Math.max(this.#longestIdleMs, nowMs - this.#idleSinceMs);
      this.#idleSinceMs = Infinity;
    }
  }
}

/** The open-loop calls of a trace, in the order of time. */
export function arrivalsOf(trace: Trace, seed: number): readonly Arrival[] {
  const arrivals = trace.arrivals?.(new Random(trace.name, seed, 'arrivals')) ?? [];
  return [...arrivals].sort((a, b) => a.atMs - b.atMs);
}

/** A heap by time; what was added first goes first among equals. */
class EventList {
  readonly #heap: { readonly atMs: number; readonly order: number; readonly event: Event }[] = [];
  #order = 0;
  nowMs = 0;

  add(atMs: number, event: Event): void {
    const heap = this.#heap;
    const entry = { atMs, order: (this.#order += 1), event };
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt];
      if (parent === undefined || !isBefore(entry, parent)) break;
      heap[at] = parent;
      at = parentAt;
    }
    heap[at] = entry;
  }

  take(): Event | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined) return undefined;
    this.nowMs = first.atMs;
    if (heap.length === 0) return first.event;
    let at = 0;
    for (;;) {
      let childAt = 2 * at + 1;
      let child = heap[childAt];
      const right = heap[childAt + 1];
      if (child !== undefined && right !== undefined && isBefore(right, child)) {
        child = right;
        childAt += 1;
      }
      if (child === undefined || !isBefore(child, last)) break;
      heap[at] = child;
      at = childAt;
    }
    heap[at] = last;
    return first.event;
  }
}

function isBefore(
  a: { readonly atMs: number; readonly order: number },
  b: { readonly atMs: number; readonly order: number },
): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
