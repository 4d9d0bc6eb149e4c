// Starts real processes for the tests, and ends them whatever happens.
// P1 Each process leads a process group of its own; its workers are in it, so that ending the group ends all of them.
// P2 A log line is given out once, in the order in which it came: nothing that happened before `nextLog` is missed.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { killGroup, membersOf } from './process-group.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PRIMARY = join(ROOT, 'dist/primary.js');
const POLL_MS = 20;

/** Stops a test that hangs; it claims no speed. */
export const LIMIT = { timeout: 60_000 };

/** The part of a test context that is needed here. */
export interface Cleanup {
  after(hook: () => void | Promise<void>): void;
}

export type LogLine = Readonly<Record<string, unknown>>;

export interface Addresses {
  readonly http: string;
  readonly grpc: string;
  readonly runner: string;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StartProcessOptions {
  /** Added to the few variables that every process gets; undefined takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default: the root of the repository. */
  readonly cwd?: string;
}

const runningGroups = new Set<number>();
// Where the test runner gives up on the whole file, no `t.after` runs.
process.on('exit', () => {
  for (const pid of runningGroups) killGroup(pid);
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

/** Absolute path of a file in the repository. */
export function repositoryFile(path: string): string {
  return join(ROOT, path);
}

/** Absolute path of a service under test/fixtures. */
export function fixture(path: string): string {
  return join(ROOT, 'test/fixtures', path);
}

/** A folder that is removed at the end. */
export function tempFolder(t: Cleanup): string {
  const folder = mkdtempSync(join(tmpdir(), 'jubako-test-'));
  t.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** Asks again and again until the answer is true; only for states that tell nobody when they are reached. */
export async function until(isReached: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isReached())) await delay(POLL_MS);
}

/**
 * `node dist/primary.js …args`. Unless flags say otherwise: on 127.0.0.1 with free ports, one API worker per protocol.
 * The test that starts it must not go on after it without a look at `ready()`, `nextLog()` or `exited`.
 */
export function startPrimary(t: Cleanup, args: readonly string[], options?: StartProcessOptions): RunningProcess {
  return startNode(t, [PRIMARY, ...args], options);
}

/** Any Node program that writes JSON lines. */
export function startNode(t: Cleanup, args: readonly string[], options: StartProcessOptions = {}): RunningProcess {
  const runtimeParent = mkdtempSync(join(tmpdir(), 'jubako-run-'));
  const env = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    JUBAKO_HOST: '127.0.0.1',
    JUBAKO_PORT: '0',
    JUBAKO_GRPC_PORT: '0',
    JUBAKO_API_WORKERS: '1',
    JUBAKO_RUNTIME_DIR: runtimeParent,
    ...options.env,
  };
  const child = spawn(process.execPath, args, {
    cwd: options.cwd ?? ROOT,
    env,
    detached: true, // P1
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const running = new RunningProcess(child, runtimeParent);
  t.after(async () => {
    killGroup(running.pid);
    await running.exited;
    await until(() => running.processes().length === 0);
    runningGroups.delete(running.pid);
    rmSync(runtimeParent, { recursive: true, force: true });
  });
  return running;
}

interface Waiter {
  readonly match: LogLine;
  readonly resolve: (line: LogLine) => void;
  readonly reject: (error: Error) => void;
}

export class RunningProcess {
  readonly pid: number;
  /** Resolves when the process has ended and nobody can write into its output any more: its workers have ended too. */
  readonly exited: Promise<Exit>;
  /** Every JSON line so far, its workers' included. */
  readonly logs: LogLine[] = [];
  /** All of standard output and standard error, as text. */
  stdout = '';
  stderr = '';
  /** Holds the runtime folders that the server makes. */
  readonly runtimeParent: string;
  readonly #child: ChildProcess;
  readonly #fresh: LogLine[] = [];
  readonly #waiters = new Set<Waiter>();
  #hasExited = false;

  constructor(child: ChildProcess, runtimeParent: string) {
    if (child.pid === undefined) throw new Error(`Cannot start ${child.spawnargs.join(' ')}`);
    this.pid = child.pid;
    this.runtimeParent = runtimeParent;
    this.#child = child;
    runningGroups.add(child.pid);
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.stderr += chunk;
    });
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', (line) => {
        this.#onLine(line);
      });
    }
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#onExit();
        resolve({ code, signal });
      });
    });
  }

  /** The next line that has all of `match` and was not given out before (P2); rejects when the process ends without it. */
  nextLog(match: LogLine): Promise<LogLine> {
    const index = this.#fresh.findIndex((line) => matches(line, match));
    const [found] = index < 0 ? [] : this.#fresh.splice(index, 1);
    if (found !== undefined) return Promise.resolve(found);
    if (this.#hasExited) return Promise.reject(this.#endedWithout(match));
    return new Promise((resolve, reject) => {
      this.#waiters.add({ match, resolve, reject });
    });
  }

  /** Where it answers, once it is ready. */
  async ready(): Promise<Addresses> {
    const line = await this.nextLog({ event: 'server.ready' });
    return line['addresses'] as Addresses;
  }

  /** How it ended, for a start that must fail: rejects when it becomes ready instead. */
  refused(): Promise<Exit> {
    const started = this.ready().then(({ http, grpc, runner }) => {
      throw new Error(`The start was not refused: it is ready on ${[http, grpc, runner].join(' ')}`);
    });
    return Promise.race([this.exited, started]);
  }

  /** The pid of a worker that became ready and was not asked for before. */
  async workerReady(name: string): Promise<number> {
    return Number((await this.nextLog({ event: 'worker.ready', name }))['workerPid']);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Asks it to end; gives the exit code, null where a signal ended it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.signal(signal);
    return (await this.exited).code;
  }

  /** Pids of the whole group that are alive: the primary, its workers, and what they started. */
  processes(): number[] {
    return membersOf(this.pid);
  }

  /** Resolves when no process and no runtime folder is left. */
  async vanished(): Promise<void> {
    await this.exited;
    await until(() => this.processes().length === 0 && readdirSync(this.runtimeParent).length === 0);
  }

  #onLine(text: string): void {
    this.stdout += `${text}\n`;
    const line = parseLine(text);
    if (line === undefined) return;
    this.logs.push(line);
    for (const waiter of this.#waiters) {
      if (!matches(line, waiter.match)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(line);
      return;
    }
    this.#fresh.push(line);
  }

  #onExit(): void {
    this.#hasExited = true;
    for (const { match, reject } of this.#waiters) reject(this.#endedWithout(match));
    this.#waiters.clear();
  }

  #endedWithout(match: LogLine): Error {
    const last = this.stdout.split('\n').slice(-10).join('\n');
    return new Error(`The process ended without the log line ${JSON.stringify(match)}\n${last}\n${this.stderr}`);
  }
}

function parseLine(text: string): LogLine | undefined {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return undefined; // what users print is not ours to read
  }
}

function matches(line: LogLine, match: LogLine): boolean {
  return Object.entries(match).every(([key, value]) => line[key] === value);
}
