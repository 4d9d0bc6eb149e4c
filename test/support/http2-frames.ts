import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';

/** HTTP/2 frame by frame, for what no client sends (RFC 9113). */

export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const FLAG = { END_STREAM: 1, ACK: 1, END_HEADERS: 4 } as const;

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const HEAD_BYTES = 9;
/** Of one frame, unless the receiver's settings say more. */
const MAX_PAYLOAD_BYTES = 16_384;

export function frame(type: number, flags: number, streamId: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** A header block without compression: each field a literal that is not indexed (RFC 7541, section 6.2.2). */
export function headerBlock(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(fields.map(([name, value]) => Buffer.concat([Buffer.of(0), literal(name), literal(value)])));
}

/** The headers of a gRPC call, and more. */
export function callHeaders(path: string, more: readonly (readonly [string, string])[] = []): Buffer {
  return headerBlock([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'test'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...more,
  ]);
}

/** As many frames as a header block needs. */
export function headerFrames(streamId: number, block: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < block.length; at += MAX_PAYLOAD_BYTES) parts.push(block.subarray(at, at + MAX_PAYLOAD_BYTES));
  return Buffer.concat(
    parts.map((part, i) =>
      frame(
        i === 0 ? FRAME.HEADERS : FRAME.CONTINUATION,
        i === parts.length - 1 ? FLAG.END_HEADERS : 0,
        streamId,
        part,
      ),
    ),
  );
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length: number[] = [];
  let rest = bytes.length;
  if (rest < 0x7f) length.push(rest);
  else {
    length.push(0x7f);
    for (rest -= 0x7f; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

export interface Frame {
  readonly type: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** One connection, after its preface. */
export class RawHttp2 {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  /** How many frames of each type have come. */
  readonly seen = new Map<number, number>();
  readonly #acknowledges: boolean;
  #bytes = Buffer.alloc(0);
  #onFrame: ((frame: Frame) => void) | undefined;

  /** @param acknowledges - the settings of the server, which it goes by only then. */
  static async open(port: number, { acknowledges = true } = {}): Promise<RawHttp2> {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined); // "close" follows
    await once(socket, 'connect');
    socket.write(PREFACE);
    socket.write(frame(FRAME.SETTINGS, 0, 0));
    const raw = new RawHttp2(socket, acknowledges);
    await raw.next(FRAME.SETTINGS);
    return raw;
  }

  private constructor(socket: Socket, acknowledges: boolean) {
    this.socket = socket;
    this.#acknowledges = acknowledges;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        resolve();
      });
    });
    socket.on('data', (chunk: Buffer) => {
      this.#read(chunk);
    });
  }

  /** Sends what `next` gives, as fast as the server takes it, until it has given so many or the server has closed. */
  async flood(count: number, next: (i: number) => Uint8Array): Promise<number> {
    let sent = 0;
    while (sent < count) {
      const parts: Uint8Array[] = [];
      for (let i = 0; i < 100 && sent + i < count; i += 1) parts.push(next(sent + i));
      const isWritten = new Promise<boolean>((resolve) => {
        this.socket.write(Buffer.concat(parts), (error) => {
          resolve(error === undefined || error === null);
        });
      });
      if (!(await Promise.race([isWritten, this.closed.then(() => false)]))) break;
      sent += parts.length;
      await setImmediate(); // the server may be in this process
    }
    return sent;
  }

  /** Resolves with the next frame of a type. */
  next(type: number): Promise<Frame> {
    return new Promise((resolve) => {
      this.#onFrame = (given): void => {
        if (given.type === type) resolve(given);
      };
    });
  }

  count(type: number): number {
    return this.seen.get(type) ?? 0;
  }

  #read(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < end) return;
      const type = this.#bytes[3] ?? NaN;
      this.seen.set(type, this.count(type) + 1);
      const isSettings = type === FRAME.SETTINGS && this.#bytes[4] === 0;
      if (isSettings && this.#acknowledges) this.socket.write(frame(FRAME.SETTINGS, FLAG.ACK, 0));
      this.#onFrame?.({
        type,
        streamId: this.#bytes.readUInt32BE(5),
        payload: Buffer.from(this.#bytes.subarray(HEAD_BYTES, end)),
      });
      this.#bytes = this.#bytes.subarray(end);
    }
  }
}
