import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { JubakoError } from '../errors.js';
import type { MountCommand } from '../ipc/manifest.js';
import { childEnv } from './child-env.js';
import type { ForkedWorker, ForkListeners } from './forked-worker.js';
import { LineSplitter } from './line-splitter.js';
import { untilAnswering } from './mount-probe.js';
import type { OnLine } from './mounted-app.js';
import type { OrphanWatch } from './orphan-watch.js';
import { signalGroup } from './process-group.js';

// One process of a foreign application, as `WorkerHandle` takes processes.
// F1 It leads a process group of its own: signals reach what it has started as well, and when it has ended, what is left of
//    the group is ended too.
// F2 `onExit` comes when its output has been read: the last lines say why it ended.

/** Long enough for an application that loads a model first; one that never answers must not hold the start for ever. */
const READY_WITHIN_MS = 120_000;
/** What it has started may keep its output open by a group of its own. */
const OUTPUT_WITHIN_MS = 500;

export interface MountProcessOptions {
  readonly path: string;
  readonly command: MountCommand;
  readonly port: number;
  /** What `cwd` is relative to. */
  readonly workingDir: string;
  readonly orphans: OrphanWatch;
  readonly onLine: OnLine;
}

/** Starts it. One that cannot be started, such as a program that is not there, says so as a worker that refuses to boot. */
export function startMountProcess(options: MountProcessOptions, listeners: ForkListeners): ForkedWorker {
  const process = new MountProcess(options, listeners);
  process.start();
  return process;
}

class MountProcess implements ForkedWorker {
  readonly #options: MountProcessOptions;
  readonly #listeners: ForkListeners;
  readonly #over = new AbortController();
  #child: ChildProcess | undefined;
  #readyTimer: NodeJS.Timeout | undefined;

  constructor(options: MountProcessOptions, listeners: ForkListeners) {
    this.#options = options;
    this.#listeners = listeners;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const { command, port, workingDir, orphans } = this.#options;
    const [program = '', ...args] = command.argv.map((arg) => arg.replaceAll('{port}', `${port}`));
    const cwd = resolve(workingDir, command.cwd);
    if (statSync(cwd, { throwIfNoEntry: false })?.isDirectory() !== true) {
      setImmediate(() => {
        this.#refuse(`its cwd ${cwd} is no folder`);
      });
      return;
    }
    const env = childEnv({ ...command.env, PORT: `${port}` });
    try {
      this.#child = spawn(program, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    } catch (thrown) {
      setImmediate(() => {
        this.#refuse(reasonOf(program, thrown as NodeJS.ErrnoException));
      });
      return;
    }
    const child = this.#child;
    this.#read(child);
    child.once('error', (error) => {
      if (child.pid === undefined) this.#refuse(reasonOf(program, error));
    });
    if (child.pid === undefined) return;
    orphans.add(child.pid);
    child.once('exit', (code, signal) => {
      void this.#onExit(child, code, signal);
    });
    void this.#watchStart();
  }

  send(message: Parameters<ForkedWorker['send']>[0]): void {
    if (message.type === 'drain') this.kill('SIGTERM');
  }

  kill(signal: NodeJS.Signals): void {
    const { pid } = this;
    if (pid !== undefined) signalGroup(pid, signal); // F1
  }

  #read(child: ChildProcess): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      const lines = new LineSplitter((line) => {
        this.#options.onLine(line, stream);
      });
      child[stream]?.on('data', (bytes: Buffer) => {
        lines.add(bytes);
      });
      child[stream]?.once('end', () => {
        lines.end();
      });
    }
  }

  async #watchStart(): Promise<void> {
    const { port, command } = this.#options;
    this.#readyTimer = setTimeout(() => {
      this.#tellRefused(`it did not answer on port ${port} within ${READY_WITHIN_MS / 1000} s`);
      this.kill('SIGKILL');
    }, READY_WITHIN_MS);
    if (!(await untilAnswering(port, command.readyPath, this.#over.signal))) return;
    clearTimeout(this.#readyTimer);
    this.#listeners.onMessage({ type: 'ready' });
  }

  async #onExit(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): Promise<void> {
    this.#end();
    if (child.pid !== undefined) {
      signalGroup(child.pid, 'SIGKILL'); // F1
      this.#options.orphans.remove(child.pid);
    }
    await once(child, 'close', { signal: AbortSignal.timeout(OUTPUT_WITHIN_MS) }).catch(() => {
      child.stdout?.destroy();
      child.stderr?.destroy();
    });
    this.#listeners.onExit(signal === null ? `code ${code ?? 'unknown'}` : `signal ${signal}`, code);
  }

  /** It has no process. */
  #refuse(why: string): void {
    this.#end();
    this.#tellRefused(why);
    this.#listeners.onExit('could not be started', null);
  }

  #tellRefused(why: string): void {
    const error = new JubakoError('SERVICE_INVALID', `Cannot start the mount "${this.#options.path}": ${why}`);
    this.#listeners.onMessage({ type: 'bootRefused', error: error.toBody() });
  }

  #end(): void {
    clearTimeout(this.#readyTimer);
    this.#over.abort();
  }
}

function reasonOf(program: string, error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return `there is no program "${program}"`;
  if (error.code === 'EACCES') return `this user may not run "${program}"`;
  return error.message;
}
