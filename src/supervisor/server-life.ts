import { JubakoError } from '../errors.js';
import type { Listener } from '../net/bind-listener.js';
import type { RuntimeDir } from '../net/runtime-dir.js';
import type { Logger } from '../telemetry/logger.js';
import type { ConnectionDispatcher } from './connection-dispatcher.js';
import type { Pool } from './pool.js';

// The end of a server, in order: listeners, then the API workers with their requests, then the runners, then the files.
// N1 `stop` runs once; later calls wait for the same end. `closed` resolves when no process is left, and never rejects.

/** Least time that runners get to leave, even if the API workers have used up the whole grace. */
const RUNNER_GRACE_MS = 1000;
/** Of a server that was ended with work in its hands. */
const EXIT_KILLED = 1;

export class ServerLife {
  readonly closed: Promise<number>;
  logger: Logger | undefined;
  runtimeDir: RuntimeDir | undefined;
  readonly #graceMs: number;
  readonly #stopping = new AbortController();
  readonly #listeners: { listener: Listener; dispatcher: ConnectionDispatcher }[] = [];
  readonly #pools: Pool[] = [];
  #resolveClosed: (exitCode: number) => void = () => undefined;
  #stop: Promise<void> | undefined;
  #exitCode: number | undefined;

  constructor(graceMs: number) {
    this.#graceMs = graceMs;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  /** Aborted when the server is on its way down. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  addListener(listener: Listener, dispatcher: ConnectionDispatcher): void {
    this.#listeners.push({ listener, dispatcher });
    if (this.stopping.aborted) listener.close();
  }

  addPool(pool: Pool): void {
    this.#pools.push(pool);
  }

  becameReady(): void {
    for (const pool of this.#pools) pool.serverIsUp();
  }

  /** @param exitCode - unless a later `kill` has the last word. */
  stop(exitCode: number): Promise<void> {
    this.#exitCode ??= exitCode;
    this.#stop ??= this.#run();
    return this.#stop;
  }

  /** Ends every process at once, without waiting for what they work on. */
  kill(): void {
    this.#exitCode = EXIT_KILLED;
    void this.stop(EXIT_KILLED);
    for (const pool of this.#pools) pool.kill();
  }

  async #run(): Promise<void> {
    const startedAtMs = performance.now();
    this.#stopping.abort(new JubakoError('DRAINING', 'Cannot finish the start: the server was told to stop'));
    this.logger?.info({ event: 'server.draining', graceMs: this.#graceMs }, 'draining');
    for (const { listener } of this.#listeners) listener.close();
    const apis = this.#pools.filter(({ plan }) => plan.role !== 'runner');
    const runners = this.#pools.filter(({ plan }) => plan.role === 'runner');
    await Promise.all(apis.map((pool) => pool.drain(this.#graceMs)));
    const apiMs = performance.now() - startedAtMs;
    for (const { dispatcher } of this.#listeners) dispatcher.dropAll();
    const leftMs = Math.max(RUNNER_GRACE_MS, this.#graceMs - apiMs);
    await Promise.all(runners.map((pool) => pool.drain(leftMs)));
    this.runtimeDir?.remove();
    const totalMs = performance.now() - startedAtMs;
    const exitCode = this.#exitCode ?? 0;
    this.logger?.info(
      { event: 'server.stopped', exitCode, apiMs: Math.round(apiMs), runnerMs: Math.round(totalMs - apiMs) },
      `stopped after ${Math.round(totalMs)} ms`,
    );
    this.logger?.flush();
    this.#resolveClosed(exitCode);
  }
}
