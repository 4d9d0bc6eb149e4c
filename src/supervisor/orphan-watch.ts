import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Logger } from '../telemetry/logger.js';
import { childEnv } from './child-env.js';

const WATCHER_FILE = fileURLToPath(new URL('./orphan-watcher.js', import.meta.url));

/** Before another is started in the place of one that has ended. */
const RESTART_AFTER_MS = 1000;

/** Keeps a process that ends what is named here when this one dies, by whatever it dies. */
export class OrphanWatch {
  readonly #logger: Logger;
  /** Leaders of process groups. */
  readonly #groups = new Set<number>();
  #watcher: ChildProcess | undefined;
  #isClosed = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** The group that `pid` leads dies with this process from here on. */
  add(pid: number): void {
    this.#groups.add(pid);
    if (this.#watcher === undefined) this.#start();
    else this.#tell(`+${pid}`);
  }

  remove(pid: number): void {
    this.#groups.delete(pid);
    this.#tell(`-${pid}`);
  }

  /** Nothing that it was told of is left. */
  close(): void {
    this.#isClosed = true;
    this.#watcher?.stdin?.end();
  }

  #start(): void {
    // A session of its own: what is done to all processes of the terminal or of the group is not done to this one.
    const watcher = spawn(process.execPath, [WATCHER_FILE], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      env: childEnv({}),
    });
    this.#watcher = watcher;
    watcher.stdin.on('error', () => undefined); // it has ended, which is told below
    const onEnd = (cause: string): void => {
      if (this.#watcher !== watcher) return;
      this.#watcher = undefined;
      if (this.#isClosed) return;
      this.#logger.warn({ event: 'watcher.ended', cause }, `the watcher of the mounted applications ended (${cause})`);
      setTimeout(() => {
        if (this.#watcher === undefined && this.#groups.size > 0 && !this.#isClosed) this.#start();
      }, RESTART_AFTER_MS).unref();
    };
    watcher.once('error', ({ message }) => {
      onEnd(message);
    });
    watcher.once('exit', (code, signal) => {
      onEnd(signal ?? `code ${code ?? 'unknown'}`);
    });
    for (const pid of this.#groups) this.#tell(`+${pid}`);
  }

  #tell(line: string): void {
    this.#watcher?.stdin?.write(`${line}\n`);
  }
}
