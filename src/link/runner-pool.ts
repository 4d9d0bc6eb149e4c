import { JubakoError } from '../errors.js';
import { chooseWorker } from './choose-worker.js';
import { DeadlineTimer } from './deadline-timer.js';
import type { LinkConnection } from './link-connection.js';
import { LinkSlot, type LinkSlotOptions, type LinkSlotOwner } from './link-slot.js';
import { expireDue, MAX_WAITING, type CallHolder, type OutgoingCall } from './outgoing-call.js';
import { probeConnections } from './probe-connections.js';
import { RetryBudget } from './retry-budget.js';
import { TICK_MS } from './silence.js';
import { noMethod } from './worker-terms.js';

// P1 A call that comes in is settled, on a connection, or in `#waiting` with a time at which it expires. Nothing hangs.
// P2 A call is executed at most once, except one to an idempotent method whose worker was lost: at most twice. It is sent
//    again where a lost worker had not begun it; who dies with others must not fail for what one of them does. A stream
//    is never begun again once its caller has an item.
// P3 Nothing is sent that must be refused anyway: where every worker is full, as far as is known, the call ends here.

export interface RunnerPoolOptions extends LinkSlotOptions {
  /** The pool got a connection that takes calls, or lost one. */
  readonly onChange: () => void;
  /** A retired pool has closed its last connection. */
  readonly onEmpty: (pool: RunnerPool) => void;
}

/** All connections to the workers of one runner, and the calls on their way to them. */
export class RunnerPool implements LinkSlotOwner, CallHolder {
  readonly #options: RunnerPoolOptions;
  /** By address; the second and further slots of a shared address by `address#2` and so on. */
  readonly #slots = new Map<string, LinkSlot>();
  readonly #retired = new Set<LinkSlot>();
  readonly #waiting = new Set<OutgoingCall>();
  readonly #budget = new RetryBudget();
  readonly #timer = new DeadlineTimer((nowMs) => this.#sweep(nowMs));
  readonly #ticker: NodeJS.Timeout;
  /** Those that take calls. */
  #open: LinkConnection[] = [];
  #turn = 0;
  #isRetired = false;
  #isEnded = false;

  constructor(options: RunnerPoolOptions) {
    this.#options = options;
    this.#ticker = setInterval(() => {
      this.#tick();
    }, TICK_MS);
    this.#ticker.unref();
  }

  get isReady(): boolean {
    return this.#open.length > 0;
  }

  /** Where its workers are and what is wrong there, for people. */
  get problem(): string {
    const problems = [...this.#slots].map(([address, slot]) => `${address}: ${slot.problem}`);
    return `runner "${this.#options.runner}" is not connected (${problems.length === 0 ? 'it has no address' : problems.join('; ')})`;
  }

  /** Undefined: a worker was heard of within `withinMs` or is heard of in that time; else what is wrong, for people. */
  async probe(withinMs: number): Promise<string | undefined> {
    if (!this.isReady) return this.problem;
    if (await probeConnections(this.#open, withinMs)) return undefined;
    return this.isReady ? `no worker of runner "${this.#options.runner}" has answered in ${withinMs} ms` : this.problem;
  }

  /** Connects to new addresses, at once also to known ones that are away; retires the others. @throws {JubakoError} CONFIG_INVALID */
  setAddresses(addresses: readonly string[]): void {
    for (const address of addresses) {
      if (!this.#slots.has(address)) this.#slots.set(address, new LinkSlot(address, this.#options, this));
    }
    for (const [key, slot] of this.#slots) {
      if (addresses.includes(slot.address)) slot.connect();
      else this.#retireSlot(key, slot);
    }
  }

  begin(call: OutgoingCall, nowMs: number): void {
    this.#budget.earn();
    const { deadlineAtMs } = call.request;
    if (deadlineAtMs !== undefined) this.#timer.watch(deadlineAtMs);
    this.#dispatch(call, nowMs);
  }

  /** Finishes what it has begun; `onEmpty` follows, or comes now. */
  retire(): void {
    this.#isRetired = true;
    for (const call of [...this.#waiting]) {
      this.#waiting.delete(call);
      call.fail(
        call.lost ?? new JubakoError('NOT_READY', `Cannot call runner "${this.#options.runner}": it was removed`),
      );
    }
    for (const [key, slot] of this.#slots) this.#retireSlot(key, slot);
    this.#endIfEmpty();
  }

  /** Resolves when each worker that was left has read the calls that were sent to it, or is gone. */
  async whenRead(): Promise<void> {
    await Promise.all([...this.#retired].map((slot) => slot.whenRead()));
  }

  /** Cuts what is left after `retire`. */
  destroy(error: JubakoError): void {
    for (const slot of [...this.#retired]) slot.destroy(error);
  }

  drop(call: OutgoingCall): void {
    this.#waiting.delete(call);
  }

  hasWorker(worker: string, asker: LinkSlot): boolean {
    for (const slot of this.#slots.values()) if (slot !== asker && slot.worker === worker) return true;
    return false;
  }

  /** Several workers behind one port: one slot each. */
  onWorkersHere({ address }: LinkSlot, workersHere: number): void {
    for (let i = 2; this.#slots.has(`${address}#${i}`) || i <= workersHere; i += 1) {
      const key = `${address}#${i}`;
      const slot = this.#slots.get(key);
      if (i > workersHere) {
        if (slot !== undefined) this.#retireSlot(key, slot);
      } else if (slot === undefined) {
        const added = new LinkSlot(address, this.#options, this);
        this.#slots.set(key, added);
        added.connect();
      }
    }
  }

  onOpen(connection: LinkConnection): void {
    this.#open = [...this.#open, connection];
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    const nowMs = performance.now();
    for (const call of waiting) this.#dispatch(call, nowMs);
    this.#options.onChange();
  }

  onLeaving(connection: LinkConnection): void {
    this.#open = this.#open.filter((other) => other !== connection);
    this.#options.onChange();
  }

  onRefused(call: OutgoingCall): void {
    call.lost ??= new JubakoError(
      'DRAINING',
      `Cannot call runner "${this.#options.runner}": its worker is draining and no other came`,
    );
    this.#dispatch(call, performance.now());
  }

  onClosed(connection: LinkConnection, error: JubakoError | undefined, calls: readonly OutgoingCall[]): void {
    if (this.#open.includes(connection)) this.onLeaving(connection);
    for (const call of calls) this.#onLost(call, error);
  }

  onEmpty(slot: LinkSlot): void {
    this.#retired.delete(slot);
    this.#endIfEmpty();
  }

  #dispatch(call: OutgoingCall, nowMs: number): void {
    const connection = this.#choose(call.value.byteLength, nowMs);
    if (connection === undefined) return this.#wait(call);
    const methodIndex = connection.methodIndex(call);
    if (methodIndex === undefined) return this.#dispatchElsewhere(call, connection, nowMs);
    this.#send(call, connection, methodIndex, nowMs);
  }

  #choose(bytes: number, nowMs: number): LinkConnection | undefined {
    const open = this.#open;
    if (open.length === 1) return open[0]?.takes(bytes) === true ? open[0] : undefined;
    this.#turn = (this.#turn + 1) & 0xffff;
    return open[chooseWorker(open, bytes, this.#turn, nowMs)];
  }

  /** During a reload, workers of two generations serve one runner, and a new method is known to some only. */
  #dispatchElsewhere(call: OutgoingCall, chosen: LinkConnection, nowMs: number): void {
    const bytes = call.value.byteLength;
    const other = this.#open.find(
      (connection) => connection.takes(bytes) && connection.methodIndex(call) !== undefined,
    );
    const methodIndex = other?.methodIndex(call);
    if (other !== undefined && methodIndex !== undefined) this.#send(call, other, methodIndex, nowMs);
    else call.fail(noMethod(call, chosen.methods));
  }

  #send(call: OutgoingCall, connection: LinkConnection, methodIndex: number, nowMs: number): void {
    try {
      call.expiresAtMs = call.request.deadlineAtMs ?? Infinity;
      connection.send(call, methodIndex, nowMs);
    } catch (thrown) {
      call.fail(JubakoError.from(thrown));
    }
  }

  #wait(call: OutgoingCall): void {
    const { runner, method } = call.request;
    if (this.#isRetired) {
      return call.fail(
        call.lost ?? new JubakoError('NOT_READY', `Cannot call ${runner}.${method}: the runner was removed`),
      );
    }
    if (this.#open.length > 0) {
      return call.fail(
        // P3
        new JubakoError('QUEUE_FULL', `Cannot call ${runner}.${method}: every worker has as much work as it takes`),
      );
    }
    if (this.#waiting.size >= MAX_WAITING) {
      return call.fail(
        new JubakoError(
          'NOT_READY',
          `Cannot call ${runner}.${method}: ${MAX_WAITING} calls wait for a worker of runner "${runner}" already`,
        ),
      );
    }
    call.wait(this);
    this.#waiting.add(call);
    this.#timer.watch(call.expiresAtMs);
  }

  #onLost(call: OutgoingCall, cause: JubakoError | undefined): void {
    const { runner, method } = call.request;
    const lost = new JubakoError('RUNNER_LOST', `Lost ${runner}.${method}: the connection to its worker ended`, {
      cause,
    });
    if (!call.isRepeatable || this.#isRetired || !this.#budget.spend()) return call.fail(lost); // P2
    call.isReplay = true;
    call.lost = lost;
    this.#dispatch(call, performance.now());
  }

  #retireSlot(key: string, slot: LinkSlot): void {
    this.#slots.delete(key);
    this.#retired.add(slot);
    slot.retire();
  }

  #endIfEmpty(): void {
    if (!this.#isRetired || this.#isEnded || this.#slots.size > 0 || this.#retired.size > 0) return;
    this.#isEnded = true;
    clearInterval(this.#ticker);
    this.#timer.stop();
    this.#options.onEmpty(this);
  }

  #tick(): void {
    for (const slot of [...this.#slots.values(), ...this.#retired]) slot.tick();
  }

  #sweep(nowMs: number): number {
    let earliestAtMs = expireDue(this.#waiting, nowMs);
    for (const slot of [...this.#slots.values(), ...this.#retired])
      earliestAtMs = Math.min(earliestAtMs, slot.sweep(nowMs));
    return earliestAtMs;
  }
}
