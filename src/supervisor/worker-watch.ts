import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import { decideMemory } from './memory-decision.js';
import type { Pool } from './pool.js';
import { readProcessStat, readRssBytes } from './process-stat.js';
import { decideStuck } from './stuck-decision.js';
import type { WorkerHandle } from './worker-handle.js';

// Looks at the workers once a second: those that hold too much memory are replaced, those that are stuck are killed.
// G1 What is seen here is of one process: a worker that was started again begins anew.
// G2 If this process has slept itself (stopped, suspended, starved), nobody has been silent.

const LOOK_EVERY_MS = 1000;
/** Workers speak every second: one that was heard so lately needs no look. */
const QUIET_MS = 2500;
/** Pools whose workers grow alike would all replace them at once: each begins at a moment of its own. */
const JITTER_MS = 1000;
/** After a successor that did not become ready. */
const RETRY_AFTER_MS = 60_000;

export interface WorkerWatchOptions {
  readonly pools: readonly Pool[];
  /** Resident memory above which a worker is replaced; Infinity: never. */
  readonly maxWorkerMemoryBytes: number;
  /** Time that a worker which is replaced gets for what it has begun. */
  readonly graceMs: number;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** What was seen of one process. */
interface Seen {
  readonly pid: number;
  /** When it was heard last, and what CPU time it had used at the first look in the silence since then. */
  heardAtMs: number;
  cpuMs: number | undefined;
  stoppedAtMs: number | undefined;
  readyRssBytes: number | undefined;
  /** Told in the log: that it is too large, that it is silent. */
  isTooLargeTold: boolean;
  isSilenceTold: boolean;
}

export class WorkerWatch {
  readonly #options: WorkerWatchOptions;
  readonly #seen = new WeakMap<WorkerHandle, Seen>();
  /** When the next worker of a pool may be replaced. */
  readonly #dueAtMs = new Map<Pool, number>();
  #lookedAtMs = performance.now();
  /** Silence counts from here on (G2). */
  #awakeAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WorkerWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#look(performance.now());
    }, LOOK_EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** To be told at once: what a worker holds when it is ready is what it is measured by. */
  onReady(worker: WorkerHandle): void {
    const { pid } = worker;
    if (pid !== undefined) this.#of(worker, pid).readyRssBytes = readRssBytes(pid);
  }

  #look(nowMs: number): void {
    if (nowMs - this.#lookedAtMs > 2 * LOOK_EVERY_MS) this.#awakeAtMs = nowMs;
    this.#lookedAtMs = nowMs;
    for (const pool of this.#options.pools) {
      for (const worker of pool.all) this.#lookAtLife(pool, worker, nowMs);
      this.#lookAtMemory(pool, nowMs);
    }
  }

  #lookAtLife(pool: Pool, worker: WorkerHandle, nowMs: number): void {
    const { pid } = worker;
    if (pid === undefined) return;
    const seen = this.#of(worker, pid);
    const heardAtMs = Math.max(worker.heardAtMs, this.#awakeAtMs);
    if (heardAtMs > seen.heardAtMs) {
      seen.heardAtMs = heardAtMs;
      seen.cpuMs = undefined;
      seen.isSilenceTold = false;
    }
    const silentMs = nowMs - heardAtMs;
    const stat = silentMs < QUIET_MS ? undefined : readProcessStat(pid);
    const isStopped = stat !== undefined && (stat.state === 'T' || stat.state === 't');
    seen.stoppedAtMs = isStopped ? (seen.stoppedAtMs ?? nowMs) : undefined;
    this.#hold(pool, worker, isStopped);
    if (stat === undefined) return;
    seen.cpuMs ??= stat.cpuMs;
    const decision = decideStuck({
      silentMs,
      stoppedMs: seen.stoppedAtMs === undefined ? undefined : nowMs - seen.stoppedAtMs,
      cpuMs: stat.cpuMs - seen.cpuMs,
      speaks: worker.speaks,
    });
    const facts = { name: worker.name, role: worker.role, workerPid: pid, silentMs: Math.round(silentMs) };
    if (decision.kind === 'kill') {
      const { cause } = decision;
      this.#options.logger.error({ event: 'worker.stuck', cause, ...facts }, `${worker.name} is killed: ${cause}`);
      worker.killStuck(cause);
    } else if (decision.kind === 'report' && !seen.isSilenceTold) {
      seen.isSilenceTold = true;
      this.#options.logger.warn(
        { event: 'worker.silent', ...facts },
        `${worker.name} has said nothing for ${Math.round(silentMs / 1000)} s and uses no CPU: it waits, or a debugger holds it`,
      );
    }
  }

  #hold(pool: Pool, worker: WorkerHandle, isHeld: boolean): void {
    if (worker.isHeld === isHeld) return;
    worker.isHeld = isHeld;
    if (!isHeld) pool.dispatcher?.flush();
  }

  #lookAtMemory(pool: Pool, nowMs: number): void {
    const { maxWorkerMemoryBytes, metrics } = this.#options;
    let largest: { readonly worker: WorkerHandle; readonly rssBytes: number } | undefined;
    for (const worker of pool.workers) {
      const { pid } = worker;
      const rssBytes = pid === undefined ? undefined : readRssBytes(pid);
      metrics.gauge('jubako_worker_rss_bytes', { worker: worker.name }).set(rssBytes ?? 0);
      if (pid === undefined || rssBytes === undefined || worker.state !== 'ready') continue;
      const seen = this.#of(worker, pid);
      const decision = decideMemory({ rssBytes, readyRssBytes: seen.readyRssBytes ?? rssBytes }, maxWorkerMemoryBytes);
      if (decision === 'tooLarge') this.#tellTooLarge(worker, seen, rssBytes);
      if (decision === 'replace' && rssBytes > (largest?.rssBytes ?? 0)) largest = { worker, rssBytes };
    }
    if (largest !== undefined && pool.canReplace) this.#replace(pool, largest.worker, largest.rssBytes, nowMs);
  }

  #replace(pool: Pool, worker: WorkerHandle, rssBytes: number, nowMs: number): void {
    const dueAtMs = this.#dueAtMs.get(pool) ?? nowMs + Math.random() * JITTER_MS;
    this.#dueAtMs.set(pool, dueAtMs);
    if (nowMs < dueAtMs) return;
    this.#dueAtMs.delete(pool);
    const { logger, graceMs, maxWorkerMemoryBytes } = this.#options;
    logger.warn(
      { event: 'worker.grown', name: worker.name, workerPid: worker.pid, rssBytes, limitBytes: maxWorkerMemoryBytes },
      `${worker.name} holds more memory than its share`,
    );
    void pool.replace(worker, 'memory', graceMs).then((isReplaced) => {
      if (!isReplaced) this.#dueAtMs.set(pool, performance.now() + RETRY_AFTER_MS);
    });
  }

  #tellTooLarge(worker: WorkerHandle, seen: Seen, rssBytes: number): void {
    if (seen.isTooLargeTold) return;
    seen.isTooLargeTold = true;
    const { logger, maxWorkerMemoryBytes } = this.#options;
    logger.warn(
      {
        event: 'worker.too_large',
        name: worker.name,
        workerPid: worker.pid,
        rssBytes,
        limitBytes: maxWorkerMemoryBytes,
      },
      `${worker.name} held more memory than its share from the beginning, and stays: raise maxWorkerMemoryBytes, or run fewer workers`,
    );
  }

  #of(worker: WorkerHandle, pid: number): Seen {
    const known = this.#seen.get(worker);
    if (known?.pid === pid) return known;
    const seen: Seen = {
      pid,
      heardAtMs: 0,
      cpuMs: undefined,
      stoppedAtMs: undefined,
      readyRssBytes: undefined,
      isTooLargeTold: false,
      isSilenceTold: false,
    };
    this.#seen.set(worker, seen); // G1
    return seen;
  }
}
