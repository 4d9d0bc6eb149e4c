import { validateHeaderValue } from 'node:http';
import type { SecureContextOptions } from 'node:tls';
import type { RunnerMap } from '../config/addresses.js';
import { JubakoError } from '../errors.js';
import type { Logger } from '../telemetry/logger.js';
import { encodeValue } from '../tensor/index.js';
import { deadlineError, OutgoingCall, type LinkRequest } from './outgoing-call.js';
import { RunnerPool } from './runner-pool.js';
import { openStream, type StreamReader } from './stream-reader.js';

export type { LinkRequest } from './outgoing-call.js';

/** `reason` is for operators: it has addresses. What strangers may read is which `runner` is missing. */
export type LinkReadiness =
  { readonly ready: true } | { readonly ready: false; readonly runner: string; readonly reason: string };

export interface RunnerLinksOptions {
  readonly map: RunnerMap;
  /** Name of this worker, for the logs of the runners. */
  readonly peer: string;
  readonly token: string | null;
  readonly logger: Logger;
  /** For `tls://` addresses; default: what Node trusts, and no certificate of our own. */
  readonly tls?: SecureContextOptions;
}

interface ReadyWaiter {
  readonly only: readonly string[] | undefined;
  readonly resolve: () => void;
  readonly reject: (error: JubakoError) => void;
}

/** The caller's end of the link: every connection of one API worker to every worker of every runner. */
export class RunnerLinks {
  readonly #options: RunnerLinksOptions;
  readonly #pools = new Map<string, RunnerPool>();
  readonly #retired = new Set<RunnerPool>();
  #readyWaiters: ReadyWaiter[] = [];
  #emptyWaiters: (() => void)[] = [];
  #isClosed = false;

  /**
   * Connects at once, and again whenever a connection is lost.
   * @throws {JubakoError} CONFIG_INVALID - an address of the map, or a token that no HTTP header can carry.
   */
  constructor(options: RunnerLinksOptions) {
    this.#options = options;
    checkToken(options.token);
    this.setMap(options.map);
  }

  /**
   * Resolves when every runner of the map has a worker that is ready; rejects only when `close` comes first.
   * @param only - waits for these alone; one that is not in the map, or leaves it, is not waited for.
   */
  async whenReady(only?: readonly string[]): Promise<void> {
    if (this.#isClosed) throw closed();
    if (this.#areReady(only)) return;
    await new Promise<void>((resolve, reject) => this.#readyWaiters.push({ only, resolve, reject }));
  }

  readiness(): LinkReadiness {
    for (const [runner, pool] of this.#pools) if (!pool.isReady) return { ready: false, runner, reason: pool.problem };
    return { ready: true };
  }

  /**
   * What `readiness` says, proved: each runner has a worker that was heard of in the last `withinMs`, or answers a ping in
   * that time. Resolves by then, never rejects.
   * @param only - asks this runner alone; one that is not in the map is not ready.
   */
  async probe(withinMs: number, only?: string): Promise<LinkReadiness> {
    const pools = only === undefined ? [...this.#pools] : [[only, this.#pools.get(only)] as const];
    const probed = pools.map(async ([runner, pool]) => {
      return { runner, reason: pool === undefined ? 'it is not in the runner map' : await pool.probe(withinMs) };
    });
    for (const { runner, reason } of await Promise.all(probed)) {
      if (reason !== undefined) return { ready: false, runner, reason };
    }
    return { ready: true };
  }

  /**
   * Replaces the map: connects to what is new and to what was away, at once; what is gone finishes its calls first.
   * @throws {JubakoError} CONFIG_INVALID - an address cannot be read; the addresses before it are in use.
   */
  setMap(map: RunnerMap): void {
    if (this.#isClosed) return;
    for (const [runner, addresses] of Object.entries(map)) {
      let pool = this.#pools.get(runner);
      if (pool === undefined) {
        pool = this.#createPool(runner);
        this.#pools.set(runner, pool);
      }
      pool.setAddresses(addresses);
    }
    for (const [runner, pool] of this.#pools) if (!Object.hasOwn(map, runner)) this.#retirePool(runner, pool);
    this.#tellReady();
  }

  /**
   * Resolves when the workers of runners that have left the map have read the calls that were sent to them: they may be told
   * to stop now, and answer them.
   */
  async whenLeft(): Promise<void> {
    await Promise.all([...this.#retired].map((pool) => pool.whenRead()));
  }

  /**
   * Calls a method on the least loaded worker of a runner. Always settles.
   *
   * @throws {JubakoError} what the runner answered, or
   * NOT_FOUND - no such runner or method, or one that streams; INVALID_INPUT, TOO_LARGE - the input cannot be sent;
   * NOT_READY - no worker within a second; QUEUE_FULL - all workers have as much work as they take;
   * DEADLINE_EXCEEDED, CLIENT_GONE - at the deadline, or another reason of the cancellation;
   * RUNNER_LOST - the worker was lost, and the call could not be repeated; DRAINING - `close` was called.
   */
  call(request: LinkRequest): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#begin(request, resolve, reject, undefined);
    });
  }

  /**
   * Calls a method that streams, likewise, when the first item is asked for; fails while it is iterated. Who stops reading
   * stops the producer; `return` (a `break` in `for await`) ends the call at the runner too. The items can be read once.
   */
  stream(request: LinkRequest): AsyncIterableIterator<unknown> {
    return openStream((resolve, reject, reader) => this.#begin(request, resolve, reject, reader));
  }

  /** Takes no more calls, lets open ones finish for up to `graceMs`, then cuts them. Never rejects. */
  async close(graceMs: number): Promise<void> {
    this.#isClosed = true;
    for (const waiter of this.#readyWaiters.splice(0)) waiter.reject(closed());
    for (const [runner, pool] of this.#pools) this.#retirePool(runner, pool);
    if (this.#retired.size === 0) return;
    const cut = setTimeout(() => {
      for (const pool of [...this.#retired]) pool.destroy(closed());
    }, graceMs);
    await new Promise<void>((resolve) => this.#emptyWaiters.push(resolve));
    clearTimeout(cut);
  }

  #begin(
    request: LinkRequest,
    resolve: (value: unknown) => void,
    reject: (error: JubakoError) => void,
    reader: StreamReader | undefined,
  ): OutgoingCall {
    const pool = this.#pools.get(request.runner);
    if (pool === undefined) throw this.#unknownRunner(request);
    if (request.cancellation.reason !== undefined) throw request.cancellation.reason;
    const value = encodeValue(request.input);
    const nowMs = performance.now();
    if (request.deadlineAtMs !== undefined && request.deadlineAtMs <= nowMs) throw deadlineError(request);
    const call = new OutgoingCall(request, value, resolve, reject, reader);
    pool.begin(call, nowMs);
    return call;
  }

  #createPool(runner: string): RunnerPool {
    const { peer, token, tls, logger } = this.#options;
    return new RunnerPool({
      runner,
      peer,
      token,
      tls,
      logger,
      onChange: () => {
        this.#tellReady();
      },
      onEmpty: (pool) => {
        this.#onEmpty(pool);
      },
    });
  }

  #retirePool(runner: string, pool: RunnerPool): void {
    this.#pools.delete(runner);
    this.#retired.add(pool);
    pool.retire();
  }

  #onEmpty(pool: RunnerPool): void {
    this.#retired.delete(pool);
    if (!this.#isClosed || this.#retired.size > 0) return;
    for (const resolve of this.#emptyWaiters.splice(0)) resolve();
  }

  #tellReady(): void {
    if (this.#readyWaiters.length === 0) return;
    const waiters = this.#readyWaiters;
    this.#readyWaiters = waiters.filter(({ only }) => !this.#areReady(only));
    for (const waiter of waiters) if (!this.#readyWaiters.includes(waiter)) waiter.resolve();
  }

  #areReady(only: readonly string[] | undefined): boolean {
    for (const [runner, pool] of this.#pools) {
      if (!pool.isReady && (only === undefined || only.includes(runner))) return false;
    }
    return true;
  }

  #unknownRunner(request: LinkRequest): JubakoError {
    if (this.#isClosed) return closed();
    const known = [...this.#pools.keys()];
    const available = known.length === 0 ? 'there are no runners' : `the runners are ${known.join(', ')}`;
    return new JubakoError('NOT_FOUND', `Cannot call ${request.runner}.${request.method}: ${available}`);
  }
}

function checkToken(token: string | null): void {
  if (token === null) return;
  try {
    validateHeaderValue('Authorization', `Bearer ${token}`);
  } catch (cause) {
    throw new JubakoError(
      'CONFIG_INVALID',
      'Cannot use the link token: it has characters that an HTTP header cannot carry',
      { cause },
    );
  }
}

function closed(): JubakoError {
  return new JubakoError('DRAINING', 'Cannot call runners any more: this worker is stopping');
}
