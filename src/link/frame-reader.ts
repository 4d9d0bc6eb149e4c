import { checkHeader, Frame, FRAME_HEADER_BYTES } from './frame.js';

/**
 * Cuts a byte stream into frames, whatever its chunks are. A frame that lies whole in a chunk is a view of it; one that is
 * split is gathered in a buffer of exactly its size, once.
 */
export class FrameReader {
  /** Frames above this are refused by their header. The hello of the other side may change it. */
  maxFrameBytes: number;
  readonly #onFrame: (frame: Frame) => void;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  #headerBytes = 0;
  #gathered: Buffer | undefined;
  #gatheredBytes = 0;
  #isStopped = false;

  constructor(maxFrameBytes: number, onFrame: (frame: Frame) => void) {
    this.maxFrameBytes = maxFrameBytes;
    this.#onFrame = onFrame;
  }

  /**
   * @throws {JubakoError} LINK_PROTOCOL, and what `onFrame` throws; the stream cannot be read on after that.
   */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#isStopped) {
      if (this.#gathered !== undefined) at += this.#gather(this.#gathered, chunk, at);
      else if (this.#headerBytes > 0 || chunk.length - at < FRAME_HEADER_BYTES) at += this.#gatherHeader(chunk, at);
      else {
        const totalBytes = checkHeader(chunk, at, this.maxFrameBytes);
        if (chunk.length - at < totalBytes) {
          this.#startGathering(totalBytes);
          continue;
        }
        this.#onFrame(new Frame(chunk, at));
        at += totalBytes;
      }
    }
  }

  /** No more frames, also not from the chunk that is being read. */
  stop(): void {
    this.#isStopped = true;
    this.#gathered = undefined;
  }

  #gatherHeader(chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.#header, this.#headerBytes, at);
    this.#headerBytes += taken;
    if (this.#headerBytes === FRAME_HEADER_BYTES) {
      const gathered = this.#startGathering(checkHeader(this.#header, 0, this.maxFrameBytes));
      this.#header.copy(gathered);
      this.#gatheredBytes = FRAME_HEADER_BYTES;
      this.#headerBytes = 0;
      this.#giveIfWhole(gathered);
    }
    return taken;
  }

  #startGathering(totalBytes: number): Buffer {
    this.#gathered = Buffer.allocUnsafe(totalBytes);
    this.#gatheredBytes = 0;
    return this.#gathered;
  }

  #gather(gathered: Buffer, chunk: Buffer, at: number): number {
    const taken = chunk.copy(gathered, this.#gatheredBytes, at);
    this.#gatheredBytes += taken;
    this.#giveIfWhole(gathered);
    return taken;
  }

  #giveIfWhole(gathered: Buffer): void {
    if (this.#gatheredBytes < gathered.length) return;
    this.#gathered = undefined;
    this.#onFrame(new Frame(gathered, 0));
  }
}
