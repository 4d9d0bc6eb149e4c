import { JubakoError } from '../errors.js';
import type { RuntimeDir } from '../net/runtime-dir.js';
import type { Logger } from '../telemetry/logger.js';
import { drainOrder } from './drain-order.js';
import type { MountedApps } from './mounted-apps.js';
import type { Pool } from './pool.js';
import type { ServerPort } from './server-ports.js';

// The end of a server, in order: listeners, then the API workers with their requests, then what these called: foreign
// applications, and the runners, those that call others before these; then the files.
// N1 `stop` runs once; later calls wait for the same end. `closed` resolves when no process is left, and never rejects.

/** Least time that runners and applications get to leave, even if the API workers have used up the whole grace. */
const LEAST_GRACE_MS = 1000;
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
  #apps: MountedApps | undefined;
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

  /** To be started at once: what was never started never ends. */
  addApps(apps: MountedApps): void {
    this.#apps = apps;
  }

  becameReady(): void {
    this.#apps?.serverIsUp();
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
    this.#apps?.kill();
  }

  async #run(): Promise<void> {
    const startedAtMs = performance.now();
    this.#stopping.abort(new JubakoError('DRAINING', 'Cannot finish the start: the server was told to stop'));
    this.logger?.info({ event: 'server.draining', graceMs: this.#graceMs }, 'draining');
    for (const { listener } of this.#ports) listener.close();
    const [apis = [], ...runners] = drainOrder(this.#pools);
    const leftMs = (leastMs: number): number => {
      return Math.max(leastMs, this.#graceMs - (performance.now() - startedAtMs));
    };
    const drain = async (step: readonly Pool[], graceMs: number): Promise<void> => {
      await Promise.all(step.map((pool) => pool.drain(graceMs)));
    };
    await drain(apis, leftMs(0));
    const apiMs = performance.now() - startedAtMs;
    for (const { dispatcher } of this.#ports) dispatcher.dropAll();
    const appsGone = this.#apps?.drain(leftMs(LEAST_GRACE_MS));
    for (const step of runners) await drain(step, leftMs(LEAST_GRACE_MS));
    await appsGone;
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
