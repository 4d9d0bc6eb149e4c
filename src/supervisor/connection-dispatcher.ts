import type { Socket } from 'node:net';
import type { WorkerHandle } from './worker-handle.js';

// D1 An accepted connection is never dropped: it waits here until a worker can take it, and if that worker dies or is
//    draining before it has taken it, it goes to the next one.
// D2 The primary holds its copy of the socket until the worker has confirmed, and reads nothing from it.

interface Waiting {
  readonly id: number;
  readonly socket: Socket;
  /** Who was asked last and has not answered; undefined: nobody can take it yet. */
  worker: WorkerHandle | undefined;
}

/** Hands the connections of one listener to the workers of one pool, round robin. */
export class ConnectionDispatcher {
  readonly #workers: () => readonly WorkerHandle[];
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #turn = 0;

  /** @param workers - the workers that accept connections at this moment. */
  constructor(workers: () => readonly WorkerHandle[]) {
    this.#workers = workers;
  }

  /** Connections that no worker has confirmed yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  add(socket: Socket): void {
    // The sender's bookkeeping in node:child_process would tell this process about the end of every connection.
    (socket as { server?: unknown }).server = undefined;
    const entry: Waiting = { id: this.#nextId++, socket, worker: undefined };
    this.#waiting.set(entry.id, entry);
    socket.on('error', () => undefined); // the client has gone; the worker will see it as well
    this.#offer(entry);
  }

  /** A worker became able to accept: what nobody could take goes out now. */
  flush(): void {
    for (const entry of this.#waiting.values()) if (entry.worker === undefined) this.#offer(entry);
  }

  accepted(id: number): void {
    const entry = this.#waiting.get(id);
    if (entry === undefined) return;
    this.#waiting.delete(id);
    entry.socket.destroy(); // closes this process's copy only; the connection lives in the worker
  }

  rejected(id: number): void {
    const entry = this.#waiting.get(id);
    if (entry === undefined) return;
    entry.worker = undefined;
    this.#offer(entry);
  }

  /** The worker is gone: what it had not confirmed goes to others (D1). */
  workerGone(worker: WorkerHandle): void {
    for (const entry of this.#waiting.values()) {
      if (entry.worker !== worker) continue;
      entry.worker = undefined;
      this.#offer(entry);
    }
  }

  /** The server is going and nobody is left to take them. */
  dropAll(): void {
    for (const { socket } of this.#waiting.values()) socket.destroy();
    this.#waiting.clear();
  }

  #offer(entry: Waiting): void {
    const workers = this.#workers();
    const worker = workers[this.#turn % workers.length];
    if (worker === undefined) return;
    this.#turn = (this.#turn + 1) % workers.length;
    entry.worker = worker;
    worker.send({ type: 'connection', connectionId: entry.id }, entry.socket);
  }
}
