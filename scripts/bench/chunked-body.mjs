// The end of a body in chunks (RFC 9112, section 7.1), wherever the bytes are cut. Its content interests nobody.
const LINE_FEED = 0x0a;
/** Behind each chunk. */
const LINE_END_BYTES = 2;

export class ChunkedBody {
  /** Bytes of the current chunk and its line end that are still to come. */
  #left = 0;
  /** The size of the next chunk as far as it has come. */
  #line = '';
  #isLast = false;

  /** @returns whether the body has ended with these bytes. */
  read(bytes, from) {
    let at = from;
    while (at < bytes.length) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, bytes.length - at);
        this.#left -= skipped;
        at += skipped;
        if (this.#left === 0 && this.#isLast) return true;
        continue;
      }
      const end = bytes.indexOf(LINE_FEED, at);
      this.#line += bytes.latin1Slice(at, end === -1 ? bytes.length : end + 1);
      if (end === -1) return false;
      at = end + 1;
      const size = Number.parseInt(this.#line, 16);
      if (Number.isNaN(size)) throw new Error(`Wanted the size of a chunk, got: ${this.#line}`);
      this.#line = '';
      this.#isLast = size === 0; // no server here sends trailers
      this.#left = size + LINE_END_BYTES;
    }
    return false;
  }
}
