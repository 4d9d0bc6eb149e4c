import type { Duplex } from 'node:stream';
import { JubakoError, type ErrorBody } from '../errors.js';
import type { Logger } from '../telemetry/logger.js';
import type { EncodedValue } from '../tensor/index.js';
import { CallTable } from './call-table.js';
import { encodeErrorBody } from './error-body.js';
import {
  FLAG_NOT_BEGUN,
  FRAME,
  frameBytes,
  readRequestMeta,
  REPLY_META_BYTES,
  type Frame,
  type LinkLoad,
} from './frame.js';
import { FrameReader } from './frame-reader.js';
import { FrameWriter, type ReplyTiming } from './frame-writer.js';
import { FIRST_FRAME_MAX_BYTES, parseClientHello, type ServerHello } from './hello.js';
import { IncomingCall, NO_TIMING, type CallOwner } from './incoming-call.js';

// C1 A frame that cannot be read closes this connection with a logged cause; nothing else notices.
// C2 A caller that does not read its answers is not read from: answers in memory stay below `PAUSE_AT_BYTES` and one turn.
// C3 When the connection goes, its open calls are cancelled.

const PAUSE_AT_BYTES = 4 * 1024 * 1024;
/** How long a caller may take to say goodbye in return, and then to close, before the connection is cut. */
const GOODBYE_PATIENCE_MS = 2000;

export interface ServerConnectionOptions {
  readonly logger: Logger;
  readonly load: () => LinkLoad;
  readonly onCall: (call: IncomingCall) => void;
  readonly onClosed: (connection: ServerConnection) => void;
}

/** The runner's end of one connection: reads calls, writes answers. */
export class ServerConnection implements CallOwner {
  readonly #socket: Duplex;
  readonly #options: ServerConnectionOptions;
  readonly #reader: FrameReader;
  readonly #writer: FrameWriter;
  readonly #calls = new CallTable<IncomingCall>();
  #hello: ServerHello | undefined;
  #peer: string | undefined;
  #isLeaving = false;
  #hasPeerLeft = false;
  #isClosed = false;
  #patience: NodeJS.Timeout | undefined;

  constructor(socket: Duplex, options: ServerConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#reader = new FrameReader(FIRST_FRAME_MAX_BYTES, (frame) => {
      this.#onFrame(frame);
    });
    this.#writer = new FrameWriter(socket);
  }

  /** @param head - what was read with the request. */
  start(head: Buffer): void {
    const socket = this.#socket;
    socket.on('data', (chunk: Buffer) => {
      this.#onChunk(chunk);
    });
    socket.on('drain', () => {
      socket.resume(); // C2
    });
    socket.on('end', () => {
      this.#onEnd();
    });
    socket.on('close', () => {
      this.#onClose();
    });
    if (head.length > 0) this.#onChunk(head);
  }

  /** From now on the caller may call. */
  open(hello: ServerHello): void {
    if (this.#isClosed) return;
    this.#hello = hello;
    this.#reader.maxFrameBytes = hello.maxFrameBytes;
    this.#writer.plain(FRAME.hello, 0, Buffer.from(JSON.stringify(hello)));
  }

  /** Answers what is open, refuses what is new, then closes; without an answer from the caller, after a while. */
  leave(): void {
    if (this.#isLeaving || this.#isClosed) return;
    this.#isLeaving = true;
    this.#writer.plain(FRAME.goodbye, 0);
    this.#leaveIfDone();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  answer(call: IncomingCall, value: EncodedValue, timing: ReplyTiming): void {
    this.#calls.delete(call.id);
    const hello = this.#hello;
    if (this.#isClosed || hello === undefined) return;
    const totalBytes = frameBytes(REPLY_META_BYTES, value.byteLength);
    if (totalBytes > hello.maxFrameBytes) {
      const why = `the answer has ${totalBytes} bytes, the link carries ${hello.maxFrameBytes}`;
      this.#fail(
        call.id,
        0,
        new JubakoError('TOO_LARGE', `Cannot send the answer of "${call.method}": ${why}`),
        timing,
      );
    } else {
      this.#writer.reply(FRAME.response, 0, call.id, timing, this.#options.load(), value);
    }
    this.#afterReply();
  }

  refuse(call: IncomingCall, error: JubakoError | ErrorBody, timing: ReplyTiming): void {
    this.#calls.delete(call.id);
    if (this.#isClosed) return;
    this.#fail(call.id, 0, error, timing);
    this.#afterReply();
  }

  #afterReply(): void {
    if (this.#writer.pendingBytes > PAUSE_AT_BYTES) this.#socket.pause(); // C2; `drain` follows, for a write above its mark
    if (this.#isLeaving && this.#calls.size === 0) this.#leaveIfDone();
  }

  #fail(id: number, flags: number, error: JubakoError | ErrorBody, timing: ReplyTiming): void {
    const body = encodeErrorBody(error);
    this.#writer.reply(FRAME.error, flags, id, timing, this.#options.load(), {
      head: body,
      parts: [],
      byteLength: body.length,
    });
  }

  #onChunk(chunk: Buffer): void {
    try {
      this.#reader.push(chunk);
    } catch (thrown) {
      this.#abort(JubakoError.from(thrown));
    }
  }

  #onFrame(frame: Frame): void {
    if (this.#peer === undefined) {
      if (frame.kind !== FRAME.hello) throw unexpected(frame, 'before its hello');
      this.#peer = parseClientHello(frame.body).peer;
      return;
    }
    switch (frame.kind) {
      case FRAME.request:
        return this.#onRequest(frame);
      case FRAME.cancel:
        return this.#onCancel(frame.id);
      case FRAME.ping:
        return this.#writer.load(FRAME.pong, this.#options.load());
      case FRAME.goodbye:
        this.#hasPeerLeft = true;
        return this.#leaveIfDone();
      case FRAME.load:
      case FRAME.pong:
        return;
      case FRAME.hello:
      case FRAME.response:
      case FRAME.error:
        throw unexpected(frame, 'from a caller');
      default:
        return frame.kind satisfies never;
    }
  }

  #onRequest(frame: Frame): void {
    const hello = this.#hello;
    if (hello === undefined) throw unexpected(frame, 'before the hello of this runner');
    if (this.#hasPeerLeft) throw unexpected(frame, 'after its goodbye');
    const { methodIndex, remainingMs } = readRequestMeta(frame);
    const method = hello.methods[methodIndex];
    if (method === undefined) {
      throw new JubakoError(
        'LINK_PROTOCOL',
        `Cannot call method ${methodIndex}: runner "${hello.runner}" has ${hello.methods.length}`,
      );
    }
    if (this.#calls.has(frame.id))
      throw new JubakoError('LINK_PROTOCOL', `Cannot begin call ${frame.id}: one with that id is open`);
    if (this.#isLeaving) return this.#fail(frame.id, FLAG_NOT_BEGUN, draining(hello), NO_TIMING);
    if (this.#calls.size >= hello.maxInFlight) return this.#fail(frame.id, FLAG_NOT_BEGUN, full(hello), NO_TIMING);
    const deadlineAtMs = remainingMs === 0 ? undefined : performance.now() + remainingMs;
    const call = new IncomingCall(this, frame, method.name, deadlineAtMs);
    this.#calls.add(call.id, call);
    try {
      this.#options.onCall(call);
    } catch (thrown) {
      const error = JubakoError.from(thrown);
      this.#options.logger.error(
        { event: 'call.failed', err: error, method: call.method },
        'the runner threw at a call',
      );
      call.fail(error);
    }
  }

  #onCancel(id: number): void {
    const call = this.#calls.get(id);
    if (call === undefined) return; // its answer is under way: no fault of either side
    this.#calls.delete(id);
    call.cancel();
    if (this.#isLeaving) this.#leaveIfDone();
  }

  #leaveIfDone(): void {
    if (!this.#isLeaving || this.#calls.size > 0 || this.#isClosed) return;
    if (this.#hasPeerLeft) this.#writer.end();
    this.#patience ??= setTimeout(() => {
      this.#loseTheirPatience();
    }, GOODBYE_PATIENCE_MS);
  }

  #loseTheirPatience(): void {
    this.#patience = undefined;
    if (this.#socket.writableEnded) {
      this.#socket.destroy();
    } else {
      this.#hasPeerLeft = true; // as good as: it does not read, or is stopped
      this.#leaveIfDone();
    }
  }

  #abort(error: JubakoError): void {
    if (this.#isClosed) return;
    this.#options.logger.warn({ event: 'link.closed', peer: this.#peer, err: error }, `link closed: ${error.message}`);
    this.#reader.stop();
    const body = encodeErrorBody(error);
    this.#writer.reply(FRAME.error, 0, 0, NO_TIMING, this.#options.load(), {
      head: body,
      parts: [],
      byteLength: body.length,
    });
    this.#writer.flush(); // so that the other side can log the same cause
    this.#socket.destroy();
  }

  /** The caller has closed its side: it waits for nothing. */
  #onEnd(): void {
    this.#cancelAll();
    this.#writer.end();
  }

  #onClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#patience);
    this.#reader.stop();
    this.#cancelAll();
    this.#options.onClosed(this);
  }

  #cancelAll(): void {
    const calls = this.#calls.values();
    this.#calls.clear();
    for (const call of calls) call.cancel(); // C3
  }
}

function unexpected(frame: Frame, when: string): JubakoError {
  return new JubakoError('LINK_PROTOCOL', `Cannot take a frame of kind ${frame.kind} ${when}`);
}

function draining(hello: ServerHello): JubakoError {
  return new JubakoError(
    'DRAINING',
    `Cannot begin a call: worker "${hello.worker}" of runner "${hello.runner}" is draining`,
  );
}

function full(hello: ServerHello): JubakoError {
  return new JubakoError(
    'QUEUE_FULL',
    `Cannot begin a call: worker "${hello.worker}" of runner "${hello.runner}" has ${hello.maxInFlight} calls of this connection`,
  );
}
