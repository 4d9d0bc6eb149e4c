import type { Gauge } from '../telemetry/metrics.js';
import type { Exchange, Holding } from './exchange.js';

/**
 * Counts the API requests being worked on, and refuses beyond the limit. A place is given back when both the exchange
 * has ended and its call has settled: a client that hangs up must not make room while its work still runs.
 */
export class Admission implements Holding {
  readonly #limit: number;
  readonly #gauge: Gauge;
  #count = 0;

  /** @param limit - 0: none. */
  constructor(limit: number, gauge: Gauge) {
    this.#limit = limit;
    this.#gauge = gauge;
  }

  /** False: full. */
  enter(exchange: Exchange): boolean {
    if (this.#limit > 0 && this.#count >= this.#limit) return false;
    exchange.holding = this;
    this.#add(1);
    return true;
  }

  callStarted(exchange: Exchange): void {
    exchange.isWorking = true;
  }

  callSettled(exchange: Exchange): void {
    exchange.isWorking = false;
    if (exchange.isEnded) this.#add(-1);
  }

  exchangeEnded(exchange: Exchange): void {
    if (!exchange.isWorking) this.#add(-1);
  }

  #add(change: 1 | -1): void {
    this.#count += change;
    this.#gauge.set(this.#count);
  }
}
