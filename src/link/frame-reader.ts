import { checkHeader, Frame, FRAME_HEADER_BYTES } from './frame.js';

// R1 A frame that lies whole and aligned in a chunk is a view of it. Any other is copied once, into a buffer of its size.
// R2 Hence every body lies at a multiple of 8: a tensor in it can be viewed in place. Chunks end where the kernel or TLS
//    likes, so that a stream of aligned frames does not stay aligned in memory by itself.
// R3 What is held is at most one frame of `maxFrameBytes`.

/** Cuts a byte stream into frames, whatever its chunks are. */
export class FrameReader {
  /** Frames above this are refused by their header. The hello of the other side may change it. */
  maxFrameBytes: number;
  readonly #onFrame: (frame: Frame) => void;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  /** One for all (F4). */
  readonly #frame = new Frame();
  #headerBytes = 0;
  #gathered: Buffer | undefined;
  #gatheredBytes = 0;
  #isStopped = false;

  constructor(maxFrameBytes: number, onFrame: (frame: Frame) => void) {
    this.maxFrameBytes = maxFrameBytes;
    this.#onFrame = onFrame;
  }

  /** Of a frame that is not whole yet (R3). */
  get heldBytes(): number {
    return this.#gathered?.length ?? this.#headerBytes;
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
        if (chunk.length - at < totalBytes || ((chunk.byteOffset + at) & 7) !== 0) {
          this.#startGathering(totalBytes);
          continue;
        }
        this.#onFrame(this.#frame.set(chunk, at));
        at += totalBytes;
      }
    }
    this.#frame.clear();
  }

  /** No more frames, also not from the chunk that is being read. */
  stop(): void {
    this.#isStopped = true;
    this.#gathered = undefined;
    this.#headerBytes = 0;
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
    this.#onFrame(this.#frame.set(gathered, 0));
  }
}
