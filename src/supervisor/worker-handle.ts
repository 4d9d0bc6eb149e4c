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
  /** `http-0`, `runner-digits-1`. */
  readonly name: string;
  readonly role: WorkerRole;
  readonly fork: (listeners: ForkListeners) => ForkedWorker;
  /** First message to each process that is forked, once it listens. */
  readonly boot: () => ToWorker;
  readonly logger: Logger;
  readonly onMessage: (worker: WorkerHandle, message: FromWorker) => void;
  readonly onChange: (worker: WorkerHandle, change: WorkerChange) => void;
}

export type WorkerChange =
  | { readonly kind: 'accepting' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'exited'; readonly cause: string }
  | { readonly kind: 'refused'; readonly error: JubakoError };

/** One place in a pool: the worker process that fills it now, its state, and the way back when it dies. */
export class WorkerHandle {
  readonly name: string;
  readonly role: WorkerRole;
  readonly #options: WorkerHandleOptions;
  #state: WorkerState = 'starting';
  #process: ForkedWorker | undefined;
  #deathsInARow = 0;
  #readyAtMs: number | undefined;
  #restart: NodeJS.Timeout | undefined;
  #mayRefuse = true;

  constructor(options: WorkerHandleOptions) {
    this.name = options.name;
    this.role = options.role;
    this.#options = options;
  }

  get state(): WorkerState {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get accepts(): boolean {
    return this.#state === 'accepting' || this.#state === 'ready';
  }

  get deathsInARow(): number {
    return this.#deathsInARow;
  }

  /** From now on a refusal to boot is a death like others: the server is up and goes on with what it has. */
  serverIsUp(): void {
    this.#mayRefuse = false;
  }

  start(): void {
    const worker = this.#options.fork({
      onMessage: (message) => {
        this.#onMessage(message);
      },
      onExit: (cause) => {
        this.#onExit(cause);
      },
    });
    this.#process = worker;
    this.#readyAtMs = undefined;
  }

  send(message: ToWorker, socket?: Socket): void {
    this.#process?.send(message, socket);
  }

  /** Asks the worker to finish and go; a worker in backoff is gone at once. */
  drain(graceMs: number): void {
    clearTimeout(this.#restart);
    this.#apply('drainAsked');
    if (this.#state === 'stopped') this.#options.onChange(this, { kind: 'exited', cause: 'drained' });
    else this.send({ type: 'drain', graceMs });
  }

  /** Ends the process at once; it is not started again. */
  kill(): void {
    this.drain(0);
    this.#process?.kill('SIGKILL');
  }

  #apply(event: WorkerEvent): void {
    this.#state = nextState(this.#state, event);
  }

  #onMessage(message: FromWorker): void {
    const { logger, onChange, onMessage } = this.#options;
    switch (message.type) {
      case 'online':
        if (this.#state === 'starting') this.send(this.#options.boot());
        else this.send({ type: 'drain', graceMs: 0 }); // asked to go while it was starting
        return;
      case 'accepting':
        this.#apply('becameAccepting');
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
      case 'bootRefused': {
        const error = JubakoError.fromBody(message.error);
        if (!this.#mayRefuse || this.#state === 'draining') {
          logger.error(
            { event: 'worker.refused', name: this.name, code: error.code, details: error.details },
            error.message,
          );
          return;
        }
        this.#apply('bootRefused');
        onChange(this, { kind: 'refused', error });
        return;
      }
      default:
        onMessage(this, message);
    }
  }

  #onExit(cause: string): void {
    const { logger, onChange } = this.#options;
    const wasDraining = this.#state === 'draining';
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
