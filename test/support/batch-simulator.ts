import { decideBatch } from '#dist/runner/batch-decision.js';
import { BatchQueue, type QueueEntry } from '#dist/runner/batch-queue.js';

// Discrete-event simulation of one lane: the real queue and the real decision under an invented clock.

export interface Arrival {
  readonly atMs: number;
  readonly rows: number;
  readonly method?: number;
  readonly batchKey?: string;
  readonly deadlineAtMs?: number;
  /** The caller leaves at this time if it has not been served before. */
  readonly leavesAtMs?: number;
}

export interface MethodLimits {
  readonly maxSize: number;
  readonly maxQueueRows: number;
}

export interface SimulatedBatch {
  readonly startMs: number;
  readonly endMs: number;
  readonly method: number;
  readonly rows: number;
  /** Indices into the arrivals. */
  readonly members: readonly number[];
}

export interface SimulationResult {
  readonly batches: readonly SimulatedBatch[];
  readonly refused: readonly number[];
  readonly expired: readonly number[];
  readonly left: readonly number[];
  /** True where the lane was idle for a moment while an unexpired row waited. */
  readonly wasIdleWithWork: boolean;
}

interface SimulatedEntry extends QueueEntry {
  readonly arrival: number;
}

/** @param costMs - time that a batch of n rows takes. */
export function simulate(
  arrivals: readonly Arrival[],
  methods: readonly MethodLimits[],
  costMs: (rows: number) => number,
): SimulationResult {
  const queues = methods.map(({ maxSize, maxQueueRows }) => new BatchQueue<SimulatedEntry>(maxSize, maxQueueRows));
  const batches: SimulatedBatch[] = [];
  const refused: number[] = [];
  const expired: number[] = [];
  const left: number[] = [];
  const entries = new Map<number, SimulatedEntry>();
  let wasIdleWithWork = false;
  let busyUntilMs = -Infinity;

  const events = eventTimes(arrivals);
  const step = (nowMs: number): void => {
    while (nowMs >= busyUntilMs) {
      const decision = decideBatch(queues, true);
      if (decision.kind === 'idle') break;
      const queue = queues[decision.queueIndex];
      if (queue === undefined) throw new TypeError('the decision names no queue');
      const taken = queue.take(decision.maxRows, nowMs);
      for (const entry of taken.expired) expired.push(entry.arrival);
      if (taken.entries.length === 0) continue;
      busyUntilMs = nowMs + costMs(taken.rows);
      batches.push({
        startMs: nowMs,
        endMs: busyUntilMs,
        method: decision.queueIndex,
        rows: taken.rows,
        members: taken.entries.map(({ arrival }) => arrival),
      });
    }
    if (nowMs >= busyUntilMs && queues.some(({ rows }) => rows > 0)) wasIdleWithWork = true;
  };

  let next = 0;
  while (next < events.length || queues.some(({ rows }) => rows > 0)) {
    const eventAtMs = events[next]?.atMs ?? Infinity;
    if (busyUntilMs > -Infinity && busyUntilMs <= eventAtMs && queues.some(({ rows }) => rows > 0)) {
      step(busyUntilMs);
      continue;
    }
    const event = events[next];
    if (event === undefined) break;
    next += 1;
    const arrival = arrivals[event.arrival];
    if (arrival === undefined) continue;
    const queue = queues[arrival.method ?? 0];
    if (queue === undefined) throw new TypeError('the arrival names no method');
    if (event.kind === 'leave') {
      const entry = entries.get(event.arrival);
      if (entry?.left === false) {
        queue.remove(entry);
        left.push(event.arrival);
      }
    } else if (queue.hasRoomFor(arrival.rows)) {
      const entry: SimulatedEntry = {
        arrival: event.arrival,
        rows: arrival.rows,
        batchKey: arrival.batchKey ?? '',
        queuedAtMs: event.atMs,
        deadlineAtMs: arrival.deadlineAtMs,
        left: false,
      };
      entries.set(event.arrival, entry);
      queue.push(entry);
    } else refused.push(event.arrival);
    // What arrives in the same instant is one turn of the loop: the batch leaves after all of it.
    if (events[next]?.atMs !== event.atMs) step(event.atMs);
  }
  return { batches, refused, expired, left, wasIdleWithWork };
}

interface SimulatedEvent {
  readonly atMs: number;
  readonly kind: 'arrive' | 'leave';
  readonly arrival: number;
}

function eventTimes(arrivals: readonly Arrival[]): readonly SimulatedEvent[] {
  const events = arrivals.flatMap(({ atMs, leavesAtMs }, arrival): SimulatedEvent[] => [
    { atMs, kind: 'arrive', arrival },
    ...(leavesAtMs === undefined ? [] : [{ atMs: leavesAtMs, kind: 'leave' as const, arrival }]),
  ]);
  return events.sort((a, b) => a.atMs - b.atMs);
}
