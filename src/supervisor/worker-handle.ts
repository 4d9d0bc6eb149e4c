import type { Socket } from 'node:net';
import { JubakoError } from '../errors.js';
import type { FromWorker, ToWorker } from '../ipc/messages.js';
import type { WorkerRole } from '../ipc/worker-boot.js';
import type { Logger } from '../telemetry/logger.js';
import { STABLE_AFTER_MS, backoffMs } from './backoff.js';
import type { ForkedWorker, ForkListeners } from './forked-worker.js';
import { nextState, type WorkerEvent, type WorkerState } from './worker-state.js';

/** What a handle needs from outside; a fake in the tests forks nothing. */
export interface WorkerHandleOptions {
  /** `http-0`, `runner-digits-1`, `mount /legacy`. */
  readonly name: string;
  readonly role: WorkerRole | 'mount';
  /** 0, and one more for each worker that has taken the place of the one before. */
  readonly generation: number;
  readonly fork: (listeners: ForkListeners) => ForkedWorker;
  /** Done to each process before it is told to boot. @throws {JubakoError} as if the worker had refused to boot. */
  readonly prepare?: (pid: number) => Promise<void>;
  /** First message to each process that is forked, once it listens. */
  readonly boot: () => ToWorker;
  readonly logger: Logger;
  readonly onMessage: (worker: WorkerHandle, message: FromWorker) => void;
  readonly onChange: (worker: WorkerHandle, change: WorkerChange) => void;
}

export type WorkerChange =
  | { readonly kind: 'accepting' }
  | { readonly kind: 'ready' }
  /** Its process has ended. */
  | { readonly kind: 'exited'; readonly cause: string }
  /** Told to go while it had no process. */
  | { readonly kind: 'left' }
  | { readonly kind: 'refused'; readonly error: JubakoError };

/** How much longer than its grace a worker may take to end. */
const KILL_AFTER_GRACE_MS = 1000;

/** One place in a pool: the worker process that fills it now, its state, and the way back when it dies. */
export class WorkerHandle {
  readonly name: string;
  readonly role: WorkerRole | 'mount';
  readonly generation: number;
  /** True: its process does not run at the moment; what is given to it would wait. */
  isHeld = false;
  readonly #options: WorkerHandleOptions;
  #state: WorkerState = 'starting';
  #process: ForkedWorker | undefined;
  #deathsInARow = 0;
  #readyAtMs: number | undefined;
  #heardAtMs = 0;
  #speaks = false;
  /** Why this process was killed here; undefined: it was not. */
  #killedFor: string | undefined;
  #restart: NodeJS.Timeout | undefined;
  #killer: NodeJS.Timeout | undefined;
  #mayRefuse = true;

  constructor(options: WorkerHandleOptions) {
    this.name = options.name;
    this.role = options.role;
    this.generation = options.generation;
    this.#options = options;
  }

  get state(): WorkerState {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get accepts(): boolean {
    return (this.#state === 'accepting' || this.#state === 'ready') && !this.isHeld;
  }

  /** True: it has booted, and its process takes messages. */
  get listens(): boolean {
    return this.accepts || (this.#state === 'draining' && !this.isHeld);
  }

  get deathsInARow(): number {
    return this.#deathsInARow;
  }

  /** When its process last sent anything, or was forked. */
  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  /** True: it is expected to send something every second from here on. */
  get speaks(): boolean {
    return this.#speaks && this.#state !== 'draining';
  }

  /** From now on a refusal to boot is a death like others: the server is up and goes on with what it has. */
  serverIsUp(): void {
    this.#mayRefuse = false;
  }

  start(): void {
    const worker = this.#options.fork({
      onMessage: (message) => {
        this.#heardAtMs = performance.now();
        this.#onMessage(message);
      },
      onExit: (cause) => {
        this.#onExit(this.#killedFor ?? cause);
      },
    });
    this.#process = worker;
    this.#readyAtMs = undefined;
    this.#heardAtMs = performance.now();
    this.#speaks = false;
    this.#killedFor = undefined;
    this.isHeld = false;
  }

  send(message: ToWorker, socket?: Socket): void {
    this.#process?.send(message, socket);
  }

  /** Asks the worker to finish and go, and ends it when it does not; a worker in backoff is gone at once. */
  drain(graceMs: number): void {
    clearTimeout(this.#restart);
    this.#apply('drainAsked');
    if (this.#state === 'stopped') {
      this.#options.onChange(this, { kind: 'left' });
      return;
    }
    this.send({ type: 'drain', graceMs });
    clearTimeout(this.#killer);
    if (this.#process === undefined) return;
    this.#killer = setTimeout(() => {
      this.#process?.kill('SIGKILL');
    }, graceMs + KILL_AFTER_GRACE_MS);
  }

  /** Ends the process at once; it is not started again. */
  kill(): void {
    this.drain(0);
    this.#process?.kill('SIGKILL');
  }

  /** Ends a process that does not work any more; another is started, as after any death. */
  killStuck(cause: string): void {
    this.#killedFor = cause;
    this.#process?.kill('SIGKILL');
  }

  #apply(event: WorkerEvent): void {
    this.#state = nextState(this.#state, event);
  }

  #onMessage(message: FromWorker): void {
    const { logger, onChange, onMessage } = this.#options;
    switch (message.type) {
      case 'online':
        void this.#boot();
        return;
      case 'accepting':
        this.#apply('becameAccepting');
        this.#speaks = true;
        onChange(this, { kind: 'accepting' });
        return;
      case 'ready':
        this.#apply('becameReady');
        this.#readyAtMs = performance.now();
        logger.info(
          { event: 'worker.ready', name: this.name, role: this.role, workerPid: this.pid },
          `${this.name} is ready`,
        );
        onChange(this, { kind: 'ready' });
        return;
      case 'bootRefused':
        this.#onRefused(JubakoError.fromBody(message.error));
        return;
      default:
        onMessage(this, message);
    }
  }

  async #boot(): Promise<void> {
    const worker = this.#process;
    try {
      if (worker?.pid !== undefined) await this.#options.prepare?.(worker.pid);
    } catch (thrown) {
      if (this.#process !== worker) return; // it has died meanwhile, which is told as such
      this.#onRefused(JubakoError.from(thrown));
      worker?.kill('SIGKILL');
      return;
    }
    if (this.#process !== worker) return;
    if (this.#state === 'starting') this.send(this.#options.boot());
    else this.send({ type: 'drain', graceMs: 0 }); // asked to go while it was starting
  }

  #onRefused(error: JubakoError): void {
    const { logger, onChange } = this.#options;
    if (!this.#mayRefuse || this.#state === 'draining') {
      const { code, message, details } = error;
      logger.error({ event: 'worker.refused', name: this.name, code, details }, message);
      return;
    }
    this.#apply('bootRefused');
    onChange(this, { kind: 'refused', error });
  }

  #onExit(cause: string): void {
    const { logger, onChange } = this.#options;
    const wasDraining = this.#state === 'draining';
    clearTimeout(this.#killer);
    this.#apply('exited');
    this.#process = undefined;
    if (this.#state === 'backoff') {
      const wasStable = this.#readyAtMs !== undefined && performance.now() - this.#readyAtMs >= STABLE_AFTER_MS;
      this.#deathsInARow = wasStable ? 1 : this.#deathsInARow + 1;
      const pauseMs = backoffMs(this.#deathsInARow);
      logger.error(
        { event: 'worker.died', name: this.name, role: this.role, cause, restartInMs: pauseMs },
        `${this.name} died (${cause}), starts again in ${pauseMs} ms`,
      );
      this.#restart = setTimeout(() => {
        this.#apply('backoffElapsed');
        this.start();
      }, pauseMs);
    } else if (wasDraining) {
      logger.info(
        { event: 'worker.stopped', name: this.name, role: this.role, cause },
        `${this.name} stopped (${cause})`,
      );
    }
    onChange(this, { kind: 'exited', cause });
  }
}
