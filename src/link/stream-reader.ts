import { JubakoError } from '../errors.js';
import type { OutgoingCall } from './outgoing-call.js';

// The caller's end of a stream: an async iterator, read once, as that of an async generator.
// A1 The call begins with the first `next`. It ends by the last item, by a failure, or by `return`, which cancels it.
// A2 Items to come (credit) and items unread are together never more than the window. So who stops reading stops the
//    producer, and what waits here is bounded by bytes: the window shrinks as items grow.
// A3 Items that came before a failure of the runner are given first, as a generator would; a cancellation or a deadline
//    discards them.

/** Credit of a stream whose items have no known size yet. */
const FIRST_WINDOW = 4;
/** Less would leave the producer idle while an item is read; more than 32 gains nothing within one machine. */
const MIN_WINDOW = 2;
const MAX_WINDOW = 32;
/** What a window of items should hold. */
const WINDOW_BYTES = 256 * 1024;
const NEWEST_WEIGHT = 1 / 4;

/** A stream whose call, as `begin` sends it, ends and fails its reader. */
export function openStream(
  begin: (resolve: () => void, reject: (error: JubakoError) => void, reader: StreamReader) => OutgoingCall,
): StreamReader {
  return new StreamReader((reader) =>
    begin(
      () => {
        reader.finish();
      },
      (error) => {
        reader.fail(error);
      },
      reader,
    ),
  );
}

interface Waiter {
  readonly resolve: (result: IteratorResult<unknown, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

export class StreamReader implements AsyncIterableIterator<unknown> {
  readonly #begin: (reader: StreamReader) => OutgoingCall;
  #call: OutgoingCall | undefined = undefined;
  #giveCredit: ((count: number) => void) | undefined = undefined;
  readonly #items: unknown[] = [];
  readonly #waiters: Waiter[] = [];
  #state: 'unread' | 'open' | 'over' = 'unread';
  #failure: JubakoError | undefined = undefined;
  #credit = 0;
  #window = FIRST_WINDOW;
  #meanBytes = 0;

  /** @param begin - sends the call; what it throws is what the first `next` rejects with. */
  constructor(begin: (reader: StreamReader) => OutgoingCall) {
    this.#begin = begin;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    if (this.#state === 'unread') this.#start();
    if (this.#items.length > 0) {
      const value = this.#items.shift();
      this.#grant();
      return Promise.resolve({ done: false, value });
    }
    if (this.#state === 'open') {
      return new Promise((resolve, reject) => {
        this.#waiters.push({ resolve, reject });
      });
    }
    const failure = this.#failure;
    if (failure === undefined) return Promise.resolve(END);
    this.#failure = undefined;
    return Promise.reject(failure);
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    const call = this.#state === 'open' ? this.#call : undefined;
    this.#items.length = 0;
    this.#failure = undefined;
    this.finish();
    call?.abandon();
    return Promise.resolve(END);
  }

  async throw(thrown: unknown): Promise<IteratorResult<unknown, undefined>> {
    await this.return();
    throw thrown;
  }

  /**
   * For the connection that sends the call, also when it is sent again: nothing was received then.
   * @param giveCredit - tells the runner that it may send so many more.
   * @returns the credit that goes with the call.
   */
  onSent(giveCredit: (count: number) => void): number {
    this.#giveCredit = giveCredit;
    this.#credit = this.#window;
    return this.#credit;
  }

  /** @throws {JubakoError} LINK_PROTOCOL - the runner had no credit. */
  push(value: unknown, bytes: number): void {
    if (this.#credit === 0)
      throw new JubakoError('LINK_PROTOCOL', 'Cannot take an item of a stream: the runner has no credit for it');
    this.#credit -= 1;
    this.#meanBytes = this.#meanBytes === 0 ? bytes : this.#meanBytes + (bytes - this.#meanBytes) * NEWEST_WEIGHT;
    this.#window = Math.max(MIN_WINDOW, Math.min(MAX_WINDOW, Math.floor(WINDOW_BYTES / (this.#meanBytes + 1))));
    const waiter = this.#waiters.shift();
    if (waiter === undefined) {
      this.#items.push(value);
    } else {
      waiter.resolve({ done: false, value });
      this.#grant();
    }
  }

  finish(): void {
    this.#state = 'over';
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(END);
  }

  fail(error: JubakoError): void {
    this.#state = 'over';
    const first = this.#waiters.shift();
    if (first === undefined) this.#failure = error;
    else first.reject(error);
    this.finish();
  }

  /** Nobody wants what has come and was not read (A3). */
  discard(): void {
    this.#items.length = 0;
  }

  #start(): void {
    this.#state = 'open';
    try {
      this.#call = this.#begin(this);
    } catch (thrown) {
      this.fail(JubakoError.from(thrown));
    }
  }

  /** In portions of half a window: one frame for many items. */
  #grant(): void {
    if (this.#state !== 'open') return;
    const room = this.#window - this.#credit - this.#items.length;
    if (room * 2 < this.#window) return;
    this.#credit += room;
    this.#giveCredit?.(room);
  }
}

const END: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });
