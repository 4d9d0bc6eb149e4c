import type { ServerResponse } from 'node:http';
import type { JubakoError } from '../errors.js';
import { byteLengthOf } from '../tensor/index.js';

// An answer that is sent piece by piece, after its head.
// A1 Who writes asks `isFull` before the next piece: no more is held than one piece beyond what Node buffers.
// A2 A client that takes nothing of what waits for it is cut after `STALLED_MS`; one that waits for us is not.

/** Time without a byte taken after which a client that doesn't read its answer is cut. */
export const STALLED_MS = 60_000;

/** Up to here a copy costs less than writes, each of which becomes a chunk of its own. */
const JOINED_BYTES = 16 * 1024;

export type Piece = string | Uint8Array | readonly Uint8Array[];

/** What the answer tells its exchange. */
export interface StreamedExchange {
  /** True: nobody reads any more. */
  readonly isEnded: boolean;
  /** What was promised has failed after the head was sent: this is the outcome, whatever the status says. */
  failedLate(error: JubakoError): void;
  /** The last byte is given to the socket. */
  streamEnded(): void;
}

export class StreamedAnswer {
  readonly #exchange: StreamedExchange;
  readonly #response: ServerResponse;

  #wake: (() => void) | undefined = undefined;

  constructor(exchange: StreamedExchange, response: ServerResponse) {
    this.#exchange = exchange;
    this.#response = response;
    response.on('drain', () => this.#wake?.());
  }

  get isEnded(): boolean {
    return this.#exchange.isEnded;
  }

  /** True: wait for `drained` before the next piece (A1). */
  get isFull(): boolean {
    return this.#response.writableNeedDrain;
  }

  write(piece: Piece): void {
    if (typeof piece === 'string' || piece instanceof Uint8Array) this.#response.write(piece);
    else if (byteLengthOf(piece) <= JOINED_BYTES) this.#response.write(Buffer.concat(piece));
    else for (const each of piece) this.#response.write(each);
  }

  /** Resolves when the client has taken what waited for it, or is gone. */
  drained(): Promise<void> {
    if (this.isEnded || !this.isFull) return Promise.resolve();
    const { socket } = this.#response; // null: answers to earlier requests are before this one, and their readers are watched
    socket?.setTimeout(STALLED_MS);
    return new Promise((resolve) => {
      this.#wake = (): void => {
        this.#wake = undefined;
        socket?.setTimeout(0);
        resolve();
      };
    });
  }

  /** The exchange has ended. */
  ended(): void {
    this.#wake?.();
  }

  /** @param failure - `last` tells the client of it. */
  end(last: Piece | undefined, failure?: JubakoError): void {
    if (failure !== undefined) this.#exchange.failedLate(failure);
    if (last !== undefined) this.write(last);
    this.#response.end();
    this.#exchange.streamEnded();
  }

  /** For forms that have no word for a failure: an answer that breaks off can't be taken for a whole one, save in HTTP/1.0. */
  cut(failure: JubakoError): void {
    this.#exchange.failedLate(failure);
    const response = this.#response;
    setImmediate(() => response.destroy()); // after the pieces that Node writes at the end of this turn
  }
}
