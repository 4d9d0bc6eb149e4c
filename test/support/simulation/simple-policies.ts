import type { Policy, Run, SimulatedCall, Step } from './policy.js';
import type { Trace } from './trace.js';

// What servers do without a model of cost: wait a fixed time for a batch to fill, or make no batches. Both drop calls that
// have waited longer than the latency that counts, as their callers' timeouts would: else they served nobody in overload.

/** Calls of one method and shape. */
interface Line {
  readonly method: number;
  readonly batchKey: string;
  readonly calls: { readonly call: SimulatedCall; rows: number }[];
  rows: number;
}

/** A batch leaves when it is full, or when its oldest call has waited `waitMs`. */
export class FixedWait implements Policy {
  readonly name: string;
  readonly #waitMs: number;
  readonly #trace: Trace;
  readonly #lines = new Map<string, Line>();
  readonly #queuedRows: number[] = [];

  constructor(trace: Trace, waitMs: number) {
    this.name = waitMs === 0 ? 'no wait' : `wait ${waitMs} ms`;
    this.#waitMs = waitMs;
    this.#trace = trace;
  }

  arrive(call: SimulatedCall): boolean {
    const { method, rows, batchKey } = call;
    const queued = this.#queuedRows[method] ?? 0;
    if (queued > 0 && queued + rows > (this.#trace.models[method]?.maxQueueSize ?? Infinity)) return false;
    this.#queuedRows[method] = queued + rows;
    const key = `${method}:${batchKey}`;
    let line = this.#lines.get(key);
    if (line === undefined) {
      line = { method, batchKey, calls: [], rows: 0 };
      this.#lines.set(key, line);
    }
    line.calls.push({ call, rows });
    line.rows += rows;
    return true;
  }

  leave(call: SimulatedCall): void {
    const line = this.#lines.get(`${call.method}:${call.batchKey}`);
    const at = line?.calls.findIndex((queued) => queued.call === call) ?? -1;
    if (line !== undefined && at !== -1) this.#left(line, line.calls.splice(at, 1)[0]?.rows ?? 0);
  }

  step(nowMs: number): Step {
    let untilMs = Infinity;
    let due: Line | undefined;
    let dueAtMs = Infinity;
    for (const line of this.#lines.values()) {
      const [oldest] = line.calls;
      if (oldest === undefined) continue;
      const maxSize = this.#trace.models[line.method]?.maxSize ?? 1;
      const leavesAtMs = line.rows >= maxSize ? -Infinity : oldest.call.arrivedAtMs + this.#waitMs;
      if (leavesAtMs > nowMs) untilMs = Math.min(untilMs, leavesAtMs);
      else if (oldest.call.arrivedAtMs < dueAtMs) {
        due = line;
        dueAtMs = oldest.call.arrivedAtMs;
      }
    }
    if (due !== undefined) return this.#take(due, nowMs);
    return untilMs === Infinity ? { kind: 'idle' } : { kind: 'wait', untilMs };
  }

  #take(line: Line, nowMs: number): Run {
    const { method, batchKey, calls } = line;
    const maxSize = this.#trace.models[method]?.maxSize ?? 1;
    const parts: { call: SimulatedCall; rows: number }[] = [];
    const late: SimulatedCall[] = [];
    let rows = 0;
    while (rows < maxSize) {
      const [head] = calls;
      if (head === undefined) break;
      const taken = Math.min(head.rows, maxSize - rows);
      const isLate = nowMs - head.call.arrivedAtMs > this.#trace.latencyMs;
      if (isLate) late.push(head.call);
      else {
        parts.push({ call: head.call, rows: taken });
        rows += taken;
      }
      this.#left(line, isLate ? head.rows : taken);
      head.rows -= taken;
      if (isLate || head.rows === 0) calls.shift();
    }
    return { kind: 'run', method, batchKey, parts, rows, reason: 'due', late };
  }

  #left(line: Line, rows: number): void {
    line.rows -= rows;
    this.#queuedRows[line.method] = (this.#queuedRows[line.method] ?? 0) - rows;
  }

  started(): unknown {
    return undefined;
  }

  finished(): void {
    // It learns nothing.
  }
}

/** Every call a run of its own, in the order of arrival; more rows than a run takes are several runs. */
export class NoBatching implements Policy {
  readonly name = 'no batching';
  readonly #trace: Trace;
  readonly #calls: { readonly call: SimulatedCall; rows: number }[] = [];
  #at = 0;

  constructor(trace: Trace) {
    this.#trace = trace;
  }

  arrive(call: SimulatedCall): boolean {
    const { maxQueueSize = Infinity } = this.#trace.models[call.method] ?? {};
    if (this.#calls.length - this.#at >= maxQueueSize) return false;
    this.#calls.push({ call, rows: call.rows });
    return true;
  }

  leave(call: SimulatedCall): void {
    const at = this.#calls.findIndex((queued) => queued.call === call);
    if (at >= this.#at) this.#calls.splice(at, 1);
  }

  step(nowMs: number): Step {
    const late: SimulatedCall[] = [];
    for (;;) {
      const head = this.#calls[this.#at];
      if (head === undefined) break;
      const { call } = head;
      if (nowMs - call.arrivedAtMs > this.#trace.latencyMs) {
        late.push(call);
        this.#at += 1;
        continue;
      }
      const rows = Math.min(head.rows, this.#trace.models[call.method]?.maxSize ?? 1);
      head.rows -= rows;
      if (head.rows === 0) this.#at += 1;
      const { method, batchKey } = call;
      return { kind: 'run', method, batchKey, parts: [{ call, rows }], rows, reason: 'next', late };
    }
    if (late.length === 0) return { kind: 'idle' };
    return { kind: 'run', method: 0, batchKey: '', parts: [], rows: 0, reason: 'late', late };
  }

  started(): unknown {
    return undefined;
  }

  finished(): void {
    // It learns nothing.
  }
}
