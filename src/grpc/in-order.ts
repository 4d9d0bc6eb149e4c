// Many sources at a time, one after another to the reader.
// O1 The answers to a request come before those to the next one; a failure of the requests comes after all answers.
// O2 Only so many requests, and so many bytes of them, are begun and unfinished; no further one is read meanwhile. More than
//    its first answer is asked of a source only when the reader wants it: a slow reader stops them all.
// O3 When the reader leaves, every source that was begun is told to end, and so are the requests.

export interface InOrderOptions<Request, Answer> {
  readonly maxRequests: number;
  readonly maxBytes: number;
  readonly bytesOf: (request: Request) => number;
  /** Must not fail: what goes wrong with a request is an answer too. */
  readonly answersTo: (request: Request) => AsyncIterator<Answer, void>;
}

/** A source whose first answer is on its way. */
interface Begun<Answer> {
  readonly iterator: AsyncIterator<Answer, void>;
  readonly byteLength: number;
  first: Promise<IteratorResult<Answer, void>> | undefined;
}

const END: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });

/** The answers to requests. One `next` at a time. */
export class InOrder<Request, Answer> implements AsyncIterableIterator<Answer, void> {
  readonly #requests: AsyncIterator<Request>;
  readonly #options: InOrderOptions<Request, Answer>;
  readonly #begun: Begun<Answer>[] = [];
  #begunBytes = 0;
  #state: 'open' | 'allRead' | 'over' = 'open';
  #isReading = false;
  #failure: { readonly thrown: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(requests: AsyncIterable<Request>, options: InOrderOptions<Request, Answer>) {
    this.#requests = requests[Symbol.asyncIterator]();
    this.#options = options;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Answer, void>> {
    for (;;) {
      void this.#read(); // never rejects
      const [head] = this.#begun;
      if (head !== undefined) {
        const result = await this.#nextOf(head);
        if (result !== undefined) return result;
      } else if (this.#state === 'open') {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      } else {
        return this.#finish();
      }
    }
  }

  /** Reads no more requests: the answers to those that were begun, and then this error. */
  endWith(error: Error): void {
    if (this.#state !== 'open') return;
    this.#state = 'allRead';
    this.#failure = { thrown: error };
    void this.#requests.return?.();
    this.#wakeReader();
  }

  /** O3 */
  return(): Promise<IteratorReturnResult<undefined>> {
    if (this.#state !== 'over') {
      if (this.#state === 'open') void this.#requests.return?.();
      this.#state = 'over';
      for (const { iterator } of this.#begun.splice(0)) void iterator.return?.();
      this.#wakeReader();
    }
    return Promise.resolve(END);
  }

  /** Undefined: the source has ended. */
  async #nextOf(head: Begun<Answer>): Promise<IteratorResult<Answer, void> | undefined> {
    const waiting = head.first ?? head.iterator.next();
    head.first = undefined;
    const result = await waiting;
    if (result.done !== true) return result;
    if (this.#begun[0] === head) {
      this.#begun.shift();
      this.#begunBytes -= head.byteLength;
    }
    return undefined;
  }

  #finish(): IteratorReturnResult<undefined> {
    const failure = this.#failure;
    this.#failure = undefined;
    this.#state = 'over';
    if (failure !== undefined) throw failure.thrown;
    return END;
  }

  /** Begins requests as they come (O2). */
  async #read(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      while (this.#hasRoom()) {
        const result = await this.#requests.next();
        if (this.#state !== 'open') break;
        if (result.done === true) this.#state = 'allRead';
        else this.#begin(result.value);
        this.#wakeReader();
      }
    } catch (thrown) {
      this.#failure = { thrown };
      if (this.#state === 'open') this.#state = 'allRead';
      this.#wakeReader();
    }
    this.#isReading = false;
  }

  #hasRoom(): boolean {
    const { maxRequests, maxBytes } = this.#options;
    return this.#state === 'open' && this.#begun.length < maxRequests && this.#begunBytes < maxBytes;
  }

  #begin(request: Request): void {
    const byteLength = this.#options.bytesOf(request);
    const iterator = this.#options.answersTo(request);
    this.#begunBytes += byteLength;
    this.#begun.push({ iterator, byteLength, first: iterator.next() });
  }

  #wakeReader(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
