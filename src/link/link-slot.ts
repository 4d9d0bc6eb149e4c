import type { SecureContextOptions } from 'node:tls';
import { parseRunnerAddress, type RunnerAddress } from '../config/addresses.js';
import type { JubakoError } from '../errors.js';
import type { Logger } from '../telemetry/logger.js';
import type { ServerHello } from './hello.js';
import { LinkConnection, type LinkConnectionOwner } from './link-connection.js';
import type { OutgoingCall } from './outgoing-call.js';
import { reconnectDelayMs } from './reconnect-delay.js';

// L1 While it is not retired, a slot has a connection, or a timer that makes one.
// L2 A connection that is leaving does not hold the slot: the next worker at this address may be there already.
// L3 Where several workers answer at one address by turns, each slot of it wants a worker that no other slot has; after
//    a few tries it keeps what it got: two connections to one worker are a loss of balance, not of calls.

export interface LinkSlotOptions {
  readonly runner: string;
  readonly peer: string;
  readonly token: string | null;
  readonly tls: SecureContextOptions | undefined;
  readonly logger: Logger;
}

export interface LinkSlotOwner {
  /** True: another slot has a connection to this worker. */
  hasWorker(worker: string, asker: LinkSlot): boolean;
  /** The address has answered: so many workers stand behind it. */
  onWorkersHere(slot: LinkSlot, workersHere: number): void;
  onOpen(connection: LinkConnection): void;
  /** Give it no more calls; `onClosed` may still follow. */
  onLeaving(connection: LinkConnection): void;
  onRefused(call: OutgoingCall): void;
  onClosed(connection: LinkConnection, error: JubakoError | undefined, calls: readonly OutgoingCall[]): void;
  /** A retired slot has closed its last connection. */
  onEmpty(slot: LinkSlot): void;
}

const MAX_DUPLICATES = 8;
/** First attempts of a slot whose failures are no news: about three seconds of them. */
const PATIENT_FAILURES = 8;

/** Keeps one address of a runner connected. */
export class LinkSlot implements LinkConnectionOwner {
  /** Why it is not connected, for people; empty while it is. */
  problem = 'connecting';
  readonly #address: RunnerAddress;
  readonly address: string;
  readonly #options: LinkSlotOptions;
  readonly #owner: LinkSlotOwner;
  readonly #leaving = new Set<LinkConnection>();
  #connection: LinkConnection | undefined;
  #worker: string | undefined;
  #failures = 0;
  #duplicates = 0;
  /** The present problem stands in the log for operators. */
  #isReported = false;
  #retryTimer: NodeJS.Timeout | undefined;
  #isRetired = false;

  /** @throws {JubakoError} CONFIG_INVALID - the address cannot be read. */
  constructor(address: string, options: LinkSlotOptions, owner: LinkSlotOwner) {
    this.#address = parseRunnerAddress(address, `runner "${options.runner}"`);
    this.address = address;
    this.#options = options;
    this.#owner = owner;
  }

  /** Name of the worker that it is connected to. */
  get worker(): string | undefined {
    return this.#connection === undefined ? undefined : this.#worker;
  }

  get isEmpty(): boolean {
    return this.#connection === undefined && this.#leaving.size === 0;
  }

  /** Connects at once where it waits to connect again. */
  connect(): void {
    if (this.#isRetired || this.#connection !== undefined) return;
    clearTimeout(this.#retryTimer);
    const { runner, peer, token, tls } = this.#options;
    this.#connection = new LinkConnection({ runner, address: this.#address, peer, token, tls }, this);
  }

  /** Connects no more; its connections finish their calls. `onEmpty` follows, or comes now. */
  retire(): void {
    if (this.#isRetired) return;
    this.#isRetired = true;
    clearTimeout(this.#retryTimer);
    if (this.isEmpty) this.#owner.onEmpty(this);
    else this.#connection?.retire();
  }

  /** See `LinkConnection.whenRead`. */
  async whenRead(): Promise<void> {
    await Promise.all(this.#all().map((connection) => connection.whenRead()));
  }

  /** Cuts what is left after `retire`. */
  destroy(error: JubakoError): void {
    for (const connection of this.#all()) connection.destroy(error);
  }

  tick(): void {
    for (const connection of this.#all()) connection.tick();
  }

  sweep(nowMs: number): number {
    let earliestAtMs = Infinity;
    for (const connection of this.#all()) earliestAtMs = Math.min(earliestAtMs, connection.sweep(nowMs));
    return earliestAtMs;
  }

  onOpen(connection: LinkConnection, hello: ServerHello): void {
    if (hello.workersHere > 1 && this.#duplicates < MAX_DUPLICATES && this.#owner.hasWorker(hello.worker, this)) {
      this.#duplicates += 1;
      connection.retire(); // closes, and a new one is made: by then it is another worker's turn (L3)
      return;
    }
    this.#failures = 0;
    this.#duplicates = 0;
    this.#isReported = false;
    this.#worker = hello.worker;
    this.problem = '';
    this.#options.logger.info(
      { event: 'link.opened', runner: hello.runner, address: this.address, runnerWorker: hello.worker },
      `connected to runner "${hello.runner}"`,
    );
    this.#owner.onOpen(connection);
    this.#owner.onWorkersHere(this, hello.workersHere);
  }

  onLeaving(connection: LinkConnection): void {
    this.#leaving.add(connection);
    this.#owner.onLeaving(connection);
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.problem = 'its worker is draining';
    this.#retryLater();
  }

  onRefused(call: OutgoingCall): void {
    this.#owner.onRefused(call);
  }

  onClosed(connection: LinkConnection, error: JubakoError | undefined, calls: readonly OutgoingCall[]): void {
    this.#leaving.delete(connection);
    if (this.#connection === connection) {
      this.#connection = undefined;
      this.#retryLater();
    }
    if (error !== undefined && !this.#isRetired) this.#report(error);
    this.#owner.onClosed(connection, error, calls);
    if (this.#isRetired && this.isEmpty) this.#owner.onEmpty(this);
  }

  #retryLater(): void {
    if (this.#isRetired) return;
    this.#retryTimer = setTimeout(
      () => {
        this.connect();
      },
      reconnectDelayMs(this.#failures, Math.random()),
    );
    this.#failures += 1;
  }

  /**
   * Once for each new problem: a runner that is away for an hour is one line, not 3600. A runner that was never there is
   * most likely starting still, which is a problem only when it lasts.
   */
  #report(error: JubakoError): void {
    const isPatient = this.#worker === undefined && this.#failures <= PATIENT_FAILURES;
    const isKnown = error.message === this.problem && (isPatient || this.#isReported);
    this.problem = error.message;
    if (isKnown) return;
    this.#isReported = !isPatient;
    const { logger, runner } = this.#options;
    const facts = { event: 'link.lost', runner, address: this.address, code: error.code };
    logger[isPatient ? 'debug' : 'warn'](facts, `no connection to runner "${runner}": ${error.message}`);
  }

  #all(): LinkConnection[] {
    return this.#connection === undefined ? [...this.#leaving] : [this.#connection, ...this.#leaving];
  }
}
