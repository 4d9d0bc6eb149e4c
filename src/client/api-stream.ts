import { ValueStreamReader } from '../tensor/value-stream.js';
import type { CallLimits } from './call-limits.js';
import { brokenOff, streamFailure, unreadable } from './client-error.js';

// The values of an API that streams.
// S1 The request is sent when the first value is asked for.
// S2 Whoever stops reading, in whatever way, ends the request, also while a value is waited for.
// S3 Only the `end` of the stream itself ends it: a body that stops without one was cut.

/** Longest value in bytes that is read: what a frame can hold. */
const MAX_VALUE_BYTES = 2 ** 32;

type ChunkReader = ReadableStreamDefaultReader<Uint8Array>;

export interface StreamSource {
  /** @throws {JubakoError} INVALID_INPUT - the options are not what they must be. */
  limits(): CallLimits;
  /** Sends the request; an answer of success, its body unread. */
  open(limits: CallLimits): Promise<Response>;
}

export class ApiStream implements AsyncIterableIterator<unknown> {
  readonly #source: StreamSource;
  readonly #values: AsyncGenerator<unknown, undefined>;
  #limits: CallLimits | undefined;

  constructor(source: StreamSource) {
    this.#source = source;
    this.#values = this.#read();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    return this.#values.next();
  }

  /** S2: a generator alone would only hear of it once it has its next value. */
  return(): Promise<IteratorResult<unknown, undefined>> {
    this.#limits?.leave();
    return this.#values.return(undefined);
  }

  async *#read(): AsyncGenerator<unknown, undefined> {
    const limits = this.#source.limits();
    this.#limits = limits;
    try {
      limits.startTimer();
      yield* readValues(await this.#source.open(limits), limits);
    } catch (thrown) {
      if (!limits.hasLeft) throw limits.reasonOr(thrown);
    } finally {
      limits.end();
      limits.leave();
    }
    return undefined;
  }
}

async function* readValues(response: Response, limits: CallLimits): AsyncGenerator<unknown, undefined> {
  const chunks = response.body?.getReader() as ChunkReader | undefined;
  if (chunks === undefined) throw brokenOff(response);
  const frames = new ValueStreamReader(MAX_VALUE_BYTES);
  for (;;) {
    limits.startTimer();
    const chunk = await readChunk(chunks, response);
    if (chunk === undefined) break;
    for (const frame of parse(frames, chunk, response)) {
      if (frame.kind === 'error') throw streamFailure(response, frame.error);
      if (frame.kind === 'end') continue; // the body ends as well, and its connection is free for the next call
      limits.stopTimer();
      yield frame.value;
    }
  }
  if (!frames.hasEnded) throw brokenOff(response); // S3
  return undefined;
}

async function readChunk(chunks: ChunkReader, response: Response): Promise<Uint8Array | undefined> {
  try {
    const { done, value } = await chunks.read();
    return done ? undefined : value;
  } catch (thrown) {
    throw brokenOff(response, thrown);
  }
}

function parse(
  frames: ValueStreamReader,
  chunk: Uint8Array,
  response: Response,
): ReturnType<ValueStreamReader['push']> {
  try {
    return frames.push(chunk);
  } catch (thrown) {
    throw unreadable(response, (thrown as Error).message, thrown);
  }
}
