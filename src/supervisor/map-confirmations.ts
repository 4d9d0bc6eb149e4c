import type { MapConfirmation, ToWorker } from '../ipc/messages.js';
import type { WorkerHandle } from './worker-handle.js';

/** A worker that does not answer must not keep others from what they wait for: it is stuck, and will be seen to. */
const CONFIRM_WITHIN_MS = 5000;

export type ToldWorker = Pick<WorkerHandle, 'send'>;

interface Waiting {
  readonly worker: ToldWorker;
  readonly settle: () => void;
}

/** Waits until workers act by a new runner map. */
export class MapConfirmations {
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;

  /**
   * Sends a map to a worker. Resolves when it acts by it, has ended, or has not answered for 5 s; never rejects.
   * @param connectedTo - runners that it should be connected to first.
   */
  send(
    worker: ToldWorker,
    connectedTo: readonly string[],
    message: (confirm: MapConfirmation) => ToWorker,
  ): Promise<void> {
    const confirmId = this.#nextId++;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.taken(confirmId);
      }, CONFIRM_WITHIN_MS);
      const settle = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.#waiting.set(confirmId, { worker, settle });
      worker.send(message({ confirmId, connectedTo }));
    });
  }

  taken(confirmId: number): void {
    this.#waiting.get(confirmId)?.settle();
    this.#waiting.delete(confirmId);
  }

  /** It has ended: its successor begins with the new map. */
  workerGone(worker: ToldWorker): void {
    for (const [confirmId, waiting] of this.#waiting) if (waiting.worker === worker) this.taken(confirmId);
  }
}
