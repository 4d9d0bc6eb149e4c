import cluster from 'node:cluster';
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { FromWorker, ToWorker } from '../ipc/messages.js';
import type { WorkerIdentity } from '../ipc/worker-boot.js';
import { childEnv } from './child-env.js';

// The only file that touches `node:cluster`.
// W1 Nothing a worker does or sends can stop the primary: its channel may break at any time, and says so by `exit` only.

/**
 * Bytes of bodies count as the heap's own: at V8's limit for a small heap (some 20 MB since the last one), they start a full
 * collection every few large requests. This raises the least limit and reserves nothing. CPU of API workers for tensors of
 * 600 KB: 898 → 334 µs a request (scripts/bench/tensor600k-case.mjs). First, so that a flag of the user's wins.
 */
const LEAST_HEAP_LIMIT = '--initial-heap-size=64';

const WORKER_FILE = fileURLToPath(new URL('../worker.js', import.meta.url));

/** A worker process; `onExit` is called exactly once. */
export interface ForkedWorker {
  readonly pid: number | undefined;
  send(message: ToWorker, socket?: Socket): void;
  kill(signal: NodeJS.Signals): void;
}

export interface ForkListeners {
  readonly onMessage: (message: FromWorker) => void;
  /** `signal SIGKILL` or `code 1`; the exit code where there was one. */
  readonly onExit: (cause: string, code: number | null) => void;
}

/**
 * Forks a worker of this package.
 * @param env - added to the environment of this process.
 * @throws {TypeError} this process is a cluster worker itself.
 */
export function forkWorker(
  identity: WorkerIdentity,
  env: Readonly<Record<string, string>>,
  listeners: ForkListeners,
): ForkedWorker {
  if (!cluster.isPrimary) throw new TypeError('Cannot start a server from a cluster worker: start it in the primary');
  // No `args`: what the primary was started with is none of the workers' business, and shows in `ps`.
  const execArgv = [LEAST_HEAP_LIMIT, ...process.execArgv];
  cluster.setupPrimary({ exec: WORKER_FILE, args: [], execArgv, serialization: 'json' });
  const worker = cluster.fork(childEnv({ ...env, JUBAKO_WORKER: JSON.stringify(identity) }));
  worker.on('error', () => undefined); // W1: a send that failed; the exit follows
  return wrapProcess(worker.process, listeners);
}

function wrapProcess(child: ChildProcess, listeners: ForkListeners): ForkedWorker {
  child.on('message', (message) => {
    listeners.onMessage(message as FromWorker);
  });
  child.on('error', () => undefined); // W1
  child.once('exit', (code, signal) => {
    listeners.onExit(signal === null ? `code ${code ?? 'unknown'}` : `signal ${signal}`, code);
  });
  return {
    pid: child.pid,
    send(message, socket) {
      // The primary's copy of the socket stays open until the worker has said `accepted`.
      if (child.connected) child.send(message, socket, { keepOpen: true }, () => undefined);
    },
    kill(signal) {
      child.kill(signal);
    },
  };
}
