import type { JubakoError } from './errors.js';

/** What wants to know that nobody waits for its work any more. */
export interface CancelTarget {
  onCancel(reason: JubakoError): void;
}

/**
 * Why and when a request is given up: one per request, from the socket to the batch. It does what an AbortController does
 * at a fraction of its cost (4 µs of a request that takes 20); the AbortSignal for user code is made when it is asked for.
 */
export class Cancellation {
  #reason: JubakoError | undefined = undefined;
  /** A set is made for the second target only: most requests have one at a time. */
  #single: CancelTarget | undefined = undefined;
  #others: Set<CancelTarget> | undefined = undefined;
  #controller: AbortController | undefined = undefined;

  /** Set from the moment of `cancel` on. */
  get reason(): JubakoError | undefined {
    return this.#reason;
  }

  /** Aborted by `cancel`, with its reason. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Tells every target once, in the order in which they came; later calls change nothing. */
  cancel(reason: JubakoError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    const others = this.#others === undefined ? [] : [...this.#others]; // each may remove itself
    this.#single?.onCancel(reason);
    for (const target of others) target.onCancel(reason);
    this.#controller?.abort(reason);
  }

  /** Must not be called once `reason` is set. */
  add(target: CancelTarget): void {
    if (this.#single === undefined) this.#single = target;
    else (this.#others ??= new Set()).add(target);
  }

  remove(target: CancelTarget): void {
    if (this.#single === target) this.#single = undefined;
    else this.#others?.delete(target);
  }
}
