// Where one frame of a WebSocket ends and the next begins (RFC 6455 5.2), so that a frame of our own can stand between two.

/** Close, 1001: going away. From a server, so not masked. */
export const GOING_AWAY = Buffer.from([0x88, 0x02, 0x03, 0xe9]);

const LENGTH_16 = 126;
const LENGTH_64 = 127;

/** Follows the bytes that an application sends. */
export class FrameBoundary {
  /** Of the head of the frame that has begun; at most 14 bytes. */
  #head: number[] = [];
  /** Bytes of its payload that are still to come. */
  #payloadLeft = 0;

  /** True: everything seen so far is whole frames. */
  get isAtBoundary(): boolean {
    return this.#head.length === 0 && this.#payloadLeft === 0;
  }

  /**
   * Takes note of what is sent.
   * @param untilBoundary - stop behind the frame that has begun.
   * @returns how many bytes were looked at: all, or those up to the boundary.
   */
  see(chunk: Uint8Array, untilBoundary: boolean): number {
    let at = 0;
    while (at < chunk.length && !(untilBoundary && this.isAtBoundary)) {
      if (this.#payloadLeft > 0) {
        const taken = Math.min(this.#payloadLeft, chunk.length - at);
        this.#payloadLeft -= taken;
        at += taken;
        continue;
      }
      this.#head.push(chunk[at] ?? 0);
      at += 1;
      this.#finishHead();
    }
    return at;
  }

  #finishHead(): void {
    const head = this.#head;
    const second = head[1];
    if (second === undefined) return;
    const short = second & 0x7f;
    const lengthBytes = short === LENGTH_64 ? 8 : short === LENGTH_16 ? 2 : 0;
    const maskBytes = (second & 0x80) === 0 ? 0 : 4;
    if (head.length < 2 + lengthBytes + maskBytes) return;
    const length = head.slice(2, 2 + lengthBytes).reduce((sum, byte) => sum * 256 + byte, 0);
    this.#payloadLeft = lengthBytes === 0 ? short : length;
    this.#head = [];
  }
}
