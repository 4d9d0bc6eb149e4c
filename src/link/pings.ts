interface Waiting {
  /** Number of the ping that is waited for. */
  readonly ping: number;
  readonly resolve: () => void;
}

/** Which pings are answered: frames stay in order, so the first answer is that of the first ping. */
export class Pings {
  #sent = 0;
  #answered = 0;
  #waiting: Waiting[] = [];
  #isOver = false;

  sent(): void {
    this.#sent += 1;
  }

  answered(): void {
    this.#answered += 1;
    while (this.#waiting[0] !== undefined && this.#waiting[0].ping <= this.#answered) this.#waiting.shift()?.resolve();
  }

  /** The connection is gone: nothing is answered any more. */
  end(): void {
    this.#isOver = true;
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  /** Resolves when every ping that was sent so far is answered, or never will be. */
  whenAnswered(): Promise<void> {
    if (this.#isOver || this.#answered >= this.#sent) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ ping: this.#sent, resolve }));
  }
}
