/** What wants to know of an abort. */
export interface AbortTarget {
  onAbort(): void;
}

const watches = new WeakMap<AbortSignal, AbortWatch>();

/**
 * All unsettled calls of one signal behind one listener: Node warns of a leak from the eleventh listener on, and a handler
 * may well call twenty models at once. The listener goes with the last call: it would keep a composite signal alive.
 */
export class AbortWatch {
  readonly #signal: AbortSignal;
  /** A set is made for the second one only: most requests have one call at a time. */
  #single: AbortTarget | undefined;
  #others: Set<AbortTarget> | undefined;

  private constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', this);
    watches.set(signal, this);
  }

  /** `target.onAbort` is called once when the signal is aborted, unless `remove` comes first. */
  static add(signal: AbortSignal, target: AbortTarget): AbortWatch {
    const watch = watches.get(signal) ?? new AbortWatch(signal);
    if (watch.#single === undefined) watch.#single = target;
    else (watch.#others ??= new Set()).add(target);
    return watch;
  }

  remove(target: AbortTarget): void {
    if (this.#single === target) this.#single = undefined;
    else this.#others?.delete(target);
    if (this.#single !== undefined || (this.#others !== undefined && this.#others.size > 0)) return;
    this.#signal.removeEventListener('abort', this);
    watches.delete(this.#signal);
  }

  /** Of the listener; not for callers. */
  handleEvent(): void {
    const others = [...(this.#others ?? [])]; // each removes itself
    this.#single?.onAbort();
    for (const target of others) target.onAbort();
  }
}
