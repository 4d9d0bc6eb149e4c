import type { ServerConfig } from '../config/settings.js';
import { JubakoError } from '../errors.js';
import type { Gauge } from '../telemetry/metrics.js';
import { codingOf } from './decompress.js';
import { bodyTooLarge } from './error-answer.js';
import type { Exchange, Holding } from './exchange.js';

/** In bodies of the largest size: so much memory may be filled from outside by next to no bytes. */
const INFLATED_BODIES = 8;

/**
 * The door of every route that does work: counts the requests being worked on, and refuses beyond the limit. A place is given
 * back when both the exchange has ended and its call has settled: a client that hangs up must not make room while its work
 * still runs. The same holds for the memory of bodies that came compressed, of which a few KB become `maxBodyBytes`.
 */
export class Admission implements Holding {
  readonly #maxConcurrency: number;
  readonly #maxBodyBytes: number;
  readonly #gauge: Gauge;
  #count = 0;
  #inflatedBytes = 0;

  constructor(config: Pick<ServerConfig, 'maxConcurrency' | 'maxBodyBytes'>, gauge: Gauge) {
    this.#maxConcurrency = config.maxConcurrency;
    this.#maxBodyBytes = config.maxBodyBytes;
    this.#gauge = gauge;
  }

  /** In the hook `onRequest`, after who may call has been asked and before the body is read. False: the exchange has its answer. */
  admit(exchange: Exchange): boolean {
    try {
      const { headers } = exchange.request;
      exchange.coding = codingOf(headers);
      if (Number(headers['content-length']) > this.#maxBodyBytes) throw bodyTooLarge(this.#maxBodyBytes);
      this.#enter(exchange);
    } catch (thrown) {
      exchange.fail(JubakoError.from(thrown));
      return false;
    }
    exchange.sendContinue();
    return true;
  }

  /** Does the work of an admitted exchange, and answers its failure. Never rejects. */
  async run(exchange: Exchange, work: () => Promise<void>): Promise<void> {
    this.started(exchange);
    try {
      await work();
    } catch (thrown) {
      exchange.fail(JubakoError.from(thrown));
    } finally {
      this.settled(exchange);
    }
  }

  /** For who does the work itself, `settled` always following. */
  started(exchange: Exchange): void {
    exchange.isWorking = true;
  }

  settled(exchange: Exchange): void {
    exchange.isWorking = false;
    if (exchange.isEnded) this.#leave(exchange);
  }

  exchangeEnded(exchange: Exchange): void {
    if (!exchange.isWorking) this.#leave(exchange);
  }

  /**
   * Of an exchange whose body came compressed: takes memory for more of it, until the exchange leaves, and throws QUEUE_FULL
   * where others have it. Undefined: its body did not.
   */
  inflation(exchange: Exchange): ((bytes: number) => void) | undefined {
    if (exchange.coding === undefined) return undefined;
    return (bytes) => {
      const limit = INFLATED_BODIES * this.#maxBodyBytes;
      if (this.#inflatedBytes + bytes > limit) {
        throw new JubakoError(
          'QUEUE_FULL',
          `Cannot decompress the body: those of all requests have become ${this.#inflatedBytes} bytes, of at most ${limit}`,
        );
      }
      exchange.inflatedBytes += bytes;
      this.#inflatedBytes += bytes;
    };
  }

  #enter(exchange: Exchange): void {
    if (this.#maxConcurrency > 0 && this.#count >= this.#maxConcurrency) {
      throw new JubakoError(
        'QUEUE_FULL',
        `Cannot take the request: this worker is at its limit of ${this.#maxConcurrency} (maxConcurrency)`,
      );
    }
    exchange.holding = this;
    this.#add(1);
  }

  #leave(exchange: Exchange): void {
    this.#add(-1);
    this.#inflatedBytes -= exchange.inflatedBytes;
  }

  #add(change: 1 | -1): void {
    this.#count += change;
    this.#gauge.set(this.#count);
  }
}
