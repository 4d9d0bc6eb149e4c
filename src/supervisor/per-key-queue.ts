/** Work that has a key in common is done one after the other, in the order in which it was asked for. */
export class PerKeyQueue {
  readonly #tails = new Map<string, Promise<void>>();

  /** Settles as `work` does, which begins when all earlier work with one of these keys has settled. */
  run<T>(keys: readonly string[], work: () => Promise<T>): Promise<T> {
    const before = keys.flatMap((key) => this.#tails.get(key) ?? []);
    const done = Promise.all(before).then(work);
    const settled = done.then(
      () => undefined,
      () => undefined,
    );
    for (const key of keys) this.#tails.set(key, settled);
    return done;
  }
}
