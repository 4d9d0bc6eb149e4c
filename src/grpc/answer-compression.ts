import { deflate, gzip, type CompressCallback } from 'node:zlib';
import type { IncomingHttpHeaders } from 'node:http2';
import type { Metadata, ServerInterceptingCallInterface } from '@grpc/grpc-js';

// Answers are compressed as the request was, which is how a client asks for it (grpc-go does the same): all clients say in
// `grpc-accept-encoding` what they could read, and few of them would be served by it.
// K1 grpc-js writes what it sends uncompressed, and has no place to say otherwise. One private method of it is replaced on
//    the calls that are compressed, and only there; a version of it without that method answers them uncompressed.

/** Shorter messages gain nothing. */
const MIN_BYTES = 1024;
const PREFIX_BYTES = 5;
/** The fastest: a tensor gains little from more. */
const LEVEL = 1;

const ENCODING_KEY = 'grpc-encoding';
const ENCODERS = { gzip, deflate } as const;

export type AnswerEncoding = keyof typeof ENCODERS;

/** From the headers of a request; undefined: as it is. */
export function answerEncodingOf(headers: IncomingHttpHeaders): AnswerEncoding | undefined {
  const given = headers[ENCODING_KEY];
  if (given !== 'gzip' && given !== 'deflate') return undefined;
  const accepted = headers['grpc-accept-encoding'];
  return typeof accepted === 'string' && accepted.split(/\s*,\s*/).includes(given) ? given : undefined;
}

/** A message as it goes onto the connection. */
class Framed {
  readonly bytes: Buffer;

  constructor(isCompressed: boolean, content: Uint8Array) {
    this.bytes = Buffer.allocUnsafe(PREFIX_BYTES + content.length);
    this.bytes[0] = isCompressed ? 1 : 0;
    this.bytes.writeUInt32BE(content.length, 1);
    this.bytes.set(content, PREFIX_BYTES);
  }
}

/** What K1 replaces. */
interface BaseCall {
  serializeMessage?: (message: unknown) => Buffer;
}

/** Compresses the messages of one call. */
export class AnswerCompressor {
  readonly #encoding: AnswerEncoding;
  readonly #serialize: (message: unknown) => Buffer;

  /** Undefined where grpc-js offers no way (K1). */
  static of(
    call: ServerInterceptingCallInterface,
    encoding: AnswerEncoding,
    serialize: (message: unknown) => Buffer,
  ): AnswerCompressor | undefined {
    const base = call as BaseCall;
    const plain = base.serializeMessage?.bind(call);
    if (plain === undefined) return undefined;
    base.serializeMessage = (message): Buffer => (message instanceof Framed ? message.bytes : plain(message));
    return new AnswerCompressor(encoding, serialize);
  }

  private constructor(encoding: AnswerEncoding, serialize: (message: unknown) => Buffer) {
    this.#encoding = encoding;
    this.#serialize = serialize;
  }

  announce(metadata: Metadata): void {
    metadata.set(ENCODING_KEY, this.#encoding);
  }

  /** `onDone` gets what grpc-js shall send instead of the message. */
  compress(message: unknown, onDone: (message: unknown) => void): void {
    let content: Buffer;
    try {
      content = this.#serialize(message);
    } catch {
      onDone(message); // grpc-js finds the same and answers for it
      return;
    }
    if (content.length < MIN_BYTES) {
      onDone(new Framed(false, content));
      return;
    }
    const onCompressed: CompressCallback = (error, compressed) => {
      const pays = error === null && compressed.length < content.length;
      onDone(pays ? new Framed(true, compressed) : new Framed(false, content));
    };
    ENCODERS[this.#encoding](content, { level: LEVEL }, onCompressed);
  }
}
