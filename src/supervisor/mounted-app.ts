import { JubakoError } from '../errors.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { ForkedWorker, ForkListeners } from './forked-worker.js';
import { WorkerHandle, type WorkerChange } from './worker-handle.js';
import type { WorkerState } from './worker-state.js';

// A foreign application that this server starts, and starts again when it dies.
// A1 While the server starts, one that cannot be started or dies again and again ends the start, with its last lines.
// A2 Once the server is up, one that dies again and again is given up with its last lines in the log. Its path is then
//    answered by nobody; everything else of the server goes on.

const MAX_DEATHS_WHILE_STARTING = 3;
const MAX_DEATHS_IN_A_ROW = 10;
const LAST_LINES = 20;

export interface MountedAppOptions {
  readonly path: string;
  /** @param onLine - to be told each line that it prints. */
  readonly startProcess: (onLine: OnLine, listeners: ForkListeners) => ForkedWorker;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** It has become ready for the first time. */
  readonly onStarted: () => void;
  /** Its state may have changed. */
  readonly onState: () => void;
  /** Default 10: with the pauses between them a little more than 20 seconds. */
  readonly maxDeathsInARow?: number;
}

export type OnLine = (line: string, stream: 'stdout' | 'stderr') => void;

export class MountedApp {
  readonly path: string;
  readonly #options: MountedAppOptions;
  readonly #process: WorkerHandle;
  #lastLines: string[] = [];
  #hasBeenReady = false;
  #isUp = false;
  #isGivenUp = false;
  #resolveReady: (() => void) | undefined;
  #rejectReady: ((error: JubakoError) => void) | undefined;
  #onGone: (() => void)[] = [];

  constructor(options: MountedAppOptions) {
    const { path, logger } = options;
    this.path = path;
    this.#options = options;
    this.#process = new WorkerHandle({
      name: `mount ${path}`,
      role: 'mount',
      generation: 0,
      fork: (listeners) => {
        return options.startProcess((line, stream) => {
          this.#onLine(line, stream);
        }, listeners);
      },
      boot: () => {
        throw new TypeError('A foreign application never says that it is online');
      },
      logger,
      onMessage: () => undefined,
      onChange: (_, change) => {
        this.#onChange(change);
        options.onState();
      },
    });
  }

  get state(): WorkerState {
    return this.#isGivenUp ? 'failed' : this.#process.state;
  }

  get hasBeenReady(): boolean {
    return this.#hasBeenReady;
  }

  /** Resolves when it answers. @throws {JubakoError} SERVICE_INVALID (A1) */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
      this.#process.start();
    });
  }

  serverIsUp(): void {
    this.#isUp = true;
    this.#process.serverIsUp();
  }

  /** SIGTERM, and SIGKILL when it has not ended a second after `graceMs`. Resolves when it has ended. */
  async drain(graceMs: number): Promise<void> {
    const gone = new Promise<void>((resolve) => this.#onGone.push(resolve));
    this.#process.drain(graceMs);
    this.#tellIfGone();
    await gone;
  }

  kill(): void {
    this.#process.kill();
  }

  #onLine(line: string, stream: 'stdout' | 'stderr'): void {
    this.#lastLines = [...this.#lastLines.slice(1 - LAST_LINES), line];
    this.#options.logger.info({ event: 'mount.output', mount: this.path, stream }, line);
  }

  #onChange(change: WorkerChange): void {
    switch (change.kind) {
      case 'ready':
        this.#onReady();
        return;
      case 'refused':
        this.#rejectReady?.(new JubakoError(change.error.code, `${change.error.message}${this.#said()}`));
        return;
      case 'exited':
        this.#onExit(change.cause);
        return;
      case 'left':
        this.#tellIfGone();
        return;
      case 'accepting':
        throw new TypeError('A foreign application never says that it accepts');
      default:
        change satisfies never;
    }
  }

  #onReady(): void {
    if (!this.#hasBeenReady) {
      this.#hasBeenReady = true;
      this.#options.onStarted();
    }
    this.#resolveReady?.();
  }

  #onExit(cause: string): void {
    const { state, deathsInARow } = this.#process;
    const counted = state === 'stopped' ? 'drained' : cause;
    this.#options.metrics.counter('jubako_worker_exits_total', { role: 'mount', cause: counted }).add(1);
    this.#tellIfGone();
    if (state !== 'backoff') return;
    const { maxDeathsInARow = MAX_DEATHS_IN_A_ROW } = this.#options;
    if (this.#isUp && deathsInARow >= maxDeathsInARow) this.#giveUp(cause);
    if (this.#isUp || deathsInARow < MAX_DEATHS_WHILE_STARTING) return;
    const why = `Cannot start the mount "${this.path}": its command ended ${deathsInARow} times before it was ready, last by ${cause}`;
    this.#rejectReady?.(new JubakoError('SERVICE_INVALID', `${why}${this.#said()}`));
  }

  #giveUp(cause: string): void {
    const { deathsInARow } = this.#process;
    this.#isGivenUp = true;
    this.#process.kill(); // it has no process: this ends its way back
    const { logger } = this.#options;
    logger.error(
      { event: 'mount.failed', mount: this.path, cause },
      `the mount ${this.path} is given up: its command ended ${deathsInARow} times in a row, last by ${cause}${this.#said()}`,
    );
  }

  #said(): string {
    return this.#lastLines.length === 0 ? '' : `; it said:\n${this.#lastLines.join('\n')}`;
  }

  #tellIfGone(): void {
    if (this.#process.state !== 'stopped' && this.#process.state !== 'failed') return;
    for (const tell of this.#onGone.splice(0)) tell();
  }
}
