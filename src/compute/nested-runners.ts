import pino from 'pino';
import type { Cancellation } from '../cancellation.js';
import type { RunnerMap } from '../config/addresses.js';
import { JubakoError } from '../errors.js';
import { RunnerLinks } from '../link/runner-links.js';
import { createRunnersClass, endStreams, type RunnersClass } from '../service/bound-runners.js';
import type { AnyRunners, RunnerDefinition } from '../service/define.js';
import { newTiming } from '../service/invoke.js';
import type { NestedCalls } from './thread-messages.js';

// The runners that a runner calls: links of the compute thread's own, so that a call costs no hop to the main thread.
// Imported only by threads whose runner calls others.
// N1 A run's deadline and cancellation bind its calls; a call by a run without a deadline has the limit `timeoutMs`.
// N2 A runner that is lost makes calls to it fail; the thread and its model live on.

export interface NestedOptions {
  readonly runner: RunnerDefinition;
  readonly calls: NestedCalls;
  readonly logLevel: string;
  /** Takes the log lines of the links. */
  readonly writeLog: (line: string) => void;
}

/** What the calls of one run have in common. */
export interface RunScope {
  readonly requestId: string;
  readonly cancellation: Cancellation;
  readonly deadlineAtMs: number | undefined;
}

export class NestedRunners {
  readonly #names: readonly string[];
  readonly #timeoutMs: number;
  readonly #links: RunnerLinks;
  readonly #RunnersOfRun: RunnersClass;

  /** @throws {JubakoError} CONFIG_INVALID - the runner map lacks a runner that is called. */
  constructor({ runner, calls, logLevel, writeLog }: NestedOptions) {
    const called = runner.runners ?? [];
    this.#names = called.map(({ name }) => name);
    this.#timeoutMs = calls.timeoutMs;
    const missing = this.#names.find((name) => !Object.hasOwn(calls.map, name));
    if (missing !== undefined) {
      throw new JubakoError(
        'CONFIG_INVALID',
        `Cannot run "${runner.name}": it calls the runner "${missing}", which has no address in the runner map`,
      );
    }
    const links = new RunnerLinks({
      map: this.#addresses(calls.map),
      peer: calls.peer,
      token: calls.token,
      logger: pino(
        { level: logLevel, base: null, timestamp: false, formatters: { level: (label) => ({ level: label }) } },
        { write: writeLog },
      ),
      ...(calls.tls !== undefined && { tls: calls.tls }),
    });
    this.#links = links;
    this.#RunnersOfRun = createRunnersClass(called, links);
  }

  /** Resolves when every runner that is called has a worker that is ready. */
  whenReady(): Promise<void> {
    return this.#links.whenReady();
  }

  setMap(map: RunnerMap): void {
    this.#links.setMap(this.#addresses(map));
  }

  /** The `runners` of one run; `endRun` closes what it leaves open. */
  forRun({ requestId, cancellation, deadlineAtMs }: RunScope): AnyRunners {
    const timeoutMs = this.#timeoutMs;
    return new this.#RunnersOfRun({
      requestId,
      cancellation,
      /** Read at each call (N1): a stream without a deadline may call for as long as it lives. */
      get deadlineAtMs() {
        return deadlineAtMs ?? (timeoutMs > 0 ? performance.now() + timeoutMs : undefined);
      },
      timing: newTiming(),
    });
  }

  endRun(runners: AnyRunners): void {
    endStreams(runners);
  }

  /** Of the runners that are called; one that a later map lacks has no workers until a map has it again. */
  #addresses(map: RunnerMap): RunnerMap {
    return Object.fromEntries(this.#names.map((name) => [name, map[name] ?? []]));
  }
}
