import { CostModel } from './cost-model.js';

// The costs of one method: by shape, where it is called with several.
// H1 While there is one shape, there is one model. A shape that is new is predicted by what is known of all.

/** Shapes whose costs are learned apart; the longest unused is forgotten first. */
const MAX_SHAPES = 64;

export class ShapeCosts {
  /** Of all shapes together. */
  readonly all = new CostModel();
  readonly #byKey = new Map<string, CostModel>();
  /** The one shape so far; undefined: none. */
  #onlyKey: string | undefined;

  of(key: string): CostModel {
    return this.#byKey.size === 0 ? this.all : (this.#byKey.get(key) ?? this.all);
  }

  observe(key: string, rows: number, ms: number): void {
    this.all.observe(rows, ms);
    this.#onlyKey ??= key;
    if (this.#byKey.size === 0 && this.#onlyKey === key) return; // H1
    const costs = this.#byKey.get(key) ?? new CostModel();
    costs.observe(rows, ms);
    this.#byKey.delete(key);
    this.#byKey.set(key, costs);
    if (this.#byKey.size <= MAX_SHAPES) return;
    const [oldest] = this.#byKey.keys();
    if (oldest !== undefined) this.#byKey.delete(oldest);
  }
}
