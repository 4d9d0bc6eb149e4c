// The buffers of finished batches, for batches to come: they travel to the compute thread with a batch and back with its
// answer. A large fresh buffer costs more than what is written into it, because the kernel hands out its pages one fault at a
// time: a round trip with 4.8 MB took 680 µs of CPU with fresh buffers and 115 with these (scripts/measure/thread-hop.mjs).
// F1 A buffer is with one batch or in the pool, never both: it moves by transfer, which leaves nothing behind.
// F2 A buffer is as long as the batch: no model finds the rows of another batch behind its own.

/** Below this there is nothing to gain. */
export const MIN_REUSED_BYTES = 4 * 1024;
const MAX_POOLED_BYTES = 64 * 1024 * 1024;

export class BatchBuffers {
  readonly #maxBytes: number;
  /** By length, the one that was used longest ago first. */
  readonly #bySize = new Map<number, ArrayBuffer[]>();
  #bytes = 0;

  constructor(maxBytes = MAX_POOLED_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that wait to be used again. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A buffer of exactly this length; what is in it is left from another batch. */
  take(byteLength: number): ArrayBuffer {
    const buffer = byteLength < MIN_REUSED_BYTES ? undefined : this.#bySize.get(byteLength)?.pop();
    if (buffer === undefined) return new ArrayBuffer(byteLength);
    this.#bytes -= byteLength;
    return buffer;
  }

  giveBack(buffer: ArrayBuffer): void {
    const { byteLength } = buffer;
    if (byteLength < MIN_REUSED_BYTES || byteLength > this.#maxBytes) return;
    const same = this.#bySize.get(byteLength) ?? [];
    same.push(buffer);
    this.#bytes += byteLength;
    this.#bySize.delete(byteLength); // to stand last
    this.#bySize.set(byteLength, same);
    for (const [size, oldest] of this.#bySize) {
      while (this.#bytes > this.#maxBytes && oldest.pop() !== undefined) this.#bytes -= size;
      if (oldest.length > 0) break;
      this.#bySize.delete(size);
    }
  }
}

/** Of this process: its lanes share it. */
export const batchBuffers = new BatchBuffers();
