import { CallTable } from './call-table.js';
import { expireDue, type OutgoingCall } from './outgoing-call.js';

const MAX_U32 = 0xffff_ffff;

/** The calls that were sent by one connection and are not settled, streams among them. */
export class SentCalls {
  readonly #calls = new CallTable<OutgoingCall>();
  #bytes = 0;
  #lastId = 0;
  #hasWrapped = false;

  get size(): number {
    return this.#calls.size;
  }

  /** Of their bodies. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The newest id that was given. */
  get lastId(): number {
    return this.#lastId;
  }

  nextId(): number {
    do {
      if (this.#lastId === MAX_U32) {
        this.#lastId = 0;
        this.#hasWrapped = true;
      }
      this.#lastId += 1;
    } while (this.#hasWrapped && this.#calls.has(this.#lastId));
    return this.#lastId;
  }

  /** By its `id`, which is of `nextId`. */
  add(call: OutgoingCall): void {
    this.#calls.add(call.id, call);
    this.#bytes += call.value.byteLength;
  }

  get(id: number): OutgoingCall | undefined {
    return this.#calls.get(id);
  }

  /** False: it was not here. */
  delete(call: OutgoingCall): boolean {
    if (!this.#calls.delete(call.id)) return false;
    this.#bytes -= call.value.byteLength;
    return true;
  }

  takeAll(): OutgoingCall[] {
    const calls = this.#calls.values();
    this.#calls.clear();
    this.#bytes = 0;
    return calls;
  }

  /** Expires the calls that are due; returns when the next one is. */
  sweep(nowMs: number): number {
    return expireDue(this.#calls.values(), nowMs);
  }
}
