import { JubakoError } from '../errors.js';
import type { RuntimeDir } from '../net/runtime-dir.js';
import type { Logger } from '../telemetry/logger.js';
import { drainOrder } from './drain-order.js';
import type { Pool } from './pool.js';
import type { ServerPort } from './server-ports.js';

// The end of a server, in order: listeners, then the API workers with their requests, then the runners, those that call
// others before these, then the files.
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
  readonly #ports: ServerPort[] = [];
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

  addPort(port: ServerPort): void {
    this.#ports.push(port);
    if (this.stopping.aborted) port.listener.close();
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
    for (const { listener } of this.#ports) listener.close();
    const [apis = [], ...runners] = drainOrder(this.#pools);
    const drain = async (step: readonly Pool[], leastMs: number): Promise<void> => {
      const leftMs = Math.max(leastMs, this.#graceMs - (performance.now() - startedAtMs));
      await Promise.all(step.map((pool) => pool.drain(leftMs)));
    };
    await drain(apis, 0);
    const apiMs = performance.now() - startedAtMs;
    for (const { dispatcher } of this.#ports) dispatcher.dropAll();
    for (const step of runners) await drain(step, RUNNER_GRACE_MS);
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
