import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads';
import { inspect } from 'node:util';
import type pino from 'pino';
import type { RunnerMap } from '../config/addresses.js';
import { JubakoError } from '../errors.js';
import type { Logger } from '../telemetry/logger.js';
import { batchBuffers } from './batch-buffers.js';
import { LaneError, type Lane, type LaneDone, type LaneJob, type RunningJob, type RunningStream } from './lane.js';
import { toProcessMs } from './process-clock.js';
import {
  buffersOf,
  type FromThread,
  type JobAnswer,
  type JobMessage,
  type ThreadBoot,
  type ThreadResult,
  type ThreadStart,
  type ToThread,
} from './thread-messages.js';

// A compute thread as the main thread sees it.
// K1 Every job settles: by the thread's answer, or with RUNNER_LOST when the thread has ended, also one that comes after that.
// K2 What callers are told of a thread's end names no inside; the reason stands in `ended`, for the log.

/** Exit code of Node: the main module of the thread was still waiting when nothing was left to do. */
const UNSETTLED_AWAIT = 13;

/** A job that the thread has not answered yet. */
interface PendingJob {
  onAnswer(answer: JobAnswer): void;
  onLost(error: LaneError): void;
}

export class ComputeLane implements Lane {
  /** Resolves when the model is loaded and warm and the runners that it calls answer; rejects with the load's own failure. */
  readonly ready: Promise<void>;
  /** Resolves when the thread has ended, expected or not, with the reason: exit code and cause. */
  readonly ended: Promise<string>;
  readonly #runner: string;
  readonly #logger: Logger;
  readonly #thread: Worker;
  readonly #port: MessagePort;
  readonly #pending = new Map<number, PendingJob>();
  #nextJobId = 1;
  #isClosing = false;
  #hasEnded = false;
  #onReady: () => void = () => undefined;
  #onLoadFailed: (error: JubakoError) => void = () => undefined;

  /** @param logger - for what the thread's links to other runners report. */
  constructor(boot: ThreadBoot, logger: Logger) {
    this.#runner = boot.runner;
    this.#logger = logger;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const start: ThreadStart = { boot, port: port2, logLevel: logger.level };
    this.#thread = new Worker(new URL('./compute-thread.js', import.meta.url), {
      workerData: start,
      transferList: [port2],
      name: `compute ${boot.runner}`,
    });
    this.ready = new Promise((resolve, reject) => {
      this.#onReady = resolve;
      this.#onLoadFailed = reject;
    });
    this.ready.catch(() => undefined); // whoever waits for it sees the failure; nobody may be waiting yet
    port1.on('message', (message: FromThread) => {
      this.#onMessage(message);
    });
    this.ended = this.#watchEnd();
  }

  run(job: LaneJob): RunningJob {
    const jobId = this.#nextJobId++;
    const done = new Promise<LaneDone>((resolve, reject) => {
      this.#begin('run', jobId, job, {
        onAnswer(answer) {
          if (answer.type === 'done') resolve(answer);
          else if (answer.type === 'failed') reject(toLaneError(answer));
          else throw new TypeError(`A run was answered by "${answer.type}"`);
        },
        onLost: reject,
      });
    });
    return {
      done,
      abort: () => {
        this.#tell({ type: 'abort', jobId });
      },
    };
  }

  /** An `onItem` that throws ends the stream: `done` rejects with what it threw. */
  stream(job: LaneJob, onItem: (item: ThreadResult) => void): RunningStream {
    const jobId = this.#nextJobId++;
    let isAborted = false;
    let failure: LaneError | undefined;
    const abort = (): void => {
      isAborted = true;
      this.#tell({ type: 'abort', jobId });
    };
    const give = (item: ThreadResult): void => {
      if (isAborted) return;
      try {
        onItem(item);
      } catch (thrown) {
        failure = new LaneError(JubakoError.from(thrown), 0, undefined);
        abort();
      }
    };
    const done = new Promise<{ readonly computeMs: number }>((resolve, reject) => {
      this.#begin('stream', jobId, job, {
        onAnswer(answer) {
          if (answer.type === 'item') give(answer.result);
          else if (failure !== undefined) reject(failure);
          else if (answer.type === 'end') resolve(answer);
          else if (answer.type === 'failed') reject(toLaneError(answer));
          else throw new TypeError('A stream was answered by "done"');
        },
        onLost: reject,
      });
    });
    return {
      done,
      pull: (count) => {
        this.#tell({ type: 'pull', jobId, count });
      },
      abort,
    };
  }

  /** Where the runners are that this one calls, from now on. */
  setRunnerMap(map: RunnerMap): void {
    this.#post({ type: 'runnerMap', map });
  }

  /** Ends the thread, whatever it is doing; what still runs is lost. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#thread.terminate();
  }

  #begin(type: JobMessage['type'], jobId: number, job: LaneJob, pending: PendingJob): void {
    if (this.#hasEnded) {
      pending.onLost(this.#lost());
      return;
    }
    const { method, rows, payload, requestIds, deadlineAtMs } = job;
    const deadlineAtProcessMs = deadlineAtMs === undefined ? undefined : toProcessMs(deadlineAtMs);
    this.#post({ type, jobId, method, rows, payload, requestIds, deadlineAtProcessMs }, buffersOf(payload));
    this.#pending.set(jobId, pending);
  }

  /** A message about a job that may be over. */
  #tell(message: Extract<ToThread, { readonly type: 'pull' | 'abort' }>): void {
    if (this.#pending.has(message.jobId)) this.#post(message);
  }

  #post(message: ToThread, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  #onMessage(message: FromThread): void {
    switch (message.type) {
      case 'ready':
        this.#onReady();
        return;
      case 'loadFailed':
        this.#onLoadFailed(JubakoError.fromBody(message.error));
        return;
      case 'log':
        writeLog(this.#logger, message.line);
        return;
      case 'item':
        this.#pending.get(message.jobId)?.onAnswer(message);
        return;
      case 'done':
        for (const buffer of message.spent) batchBuffers.giveBack(buffer);
        this.#settle(message);
        return;
      case 'end':
      case 'failed':
        this.#settle(message);
        return;
      default:
        message satisfies never;
    }
  }

  #settle(answer: JobAnswer): void {
    const pending = this.#pending.get(answer.jobId);
    this.#pending.delete(answer.jobId);
    pending?.onAnswer(answer);
  }

  #watchEnd(): Promise<string> {
    let thrown: string | undefined;
    this.#thread.on('error', (error: unknown) => {
      thrown = describe(error);
    });
    this.#port.on('messageerror', (error: unknown) => {
      thrown ??= `a message of it cannot be read: ${describe(error)}`;
      void this.#thread.terminate();
    });
    return new Promise((resolve) => {
      this.#thread.once('exit', (code) => {
        this.#drain();
        this.#hasEnded = true;
        const cause = thrown ?? (this.#isClosing ? 'it was closed' : causeOf(code));
        const reason = `the compute thread ended with code ${code}: ${cause}`;
        this.#onLoadFailed(new JubakoError('SERVICE_INVALID', `Cannot load the runner "${this.#runner}": ${reason}`));
        for (const pending of this.#pending.values()) pending.onLost(this.#lost());
        this.#pending.clear();
        resolve(reason);
      });
    });
  }

  /** What the thread had posted before it ended still counts. */
  #drain(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port) as { readonly message: FromThread } | undefined;
      if (received === undefined) break;
      this.#onMessage(received.message);
    }
    this.#port.close();
  }

  #lost(): LaneError {
    const message = `Cannot finish the run: the compute thread of "${this.#runner}" has ended`;
    return new LaneError(new JubakoError('RUNNER_LOST', message), 0, undefined);
  }
}

function toLaneError(answer: Extract<JobAnswer, { readonly type: 'failed' }>): LaneError {
  return new LaneError(JubakoError.fromBody(answer.error), answer.computeMs, answer.stack);
}

/** Of an end without an error. */
function causeOf(code: number): string {
  if (code === UNSETTLED_AWAIT) return 'its load() waits for something that nothing is left to bring about';
  return 'its code called process.exit()';
}

function describe(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : inspect(thrown);
}

/** A line that pino wrote in the thread, written again by the logger of this process. */
function writeLog(logger: Logger, line: string): void {
  const { level, msg, ...facts } = JSON.parse(line) as { readonly level: pino.Level; readonly msg: string };
  logger[level](facts, msg);
}
