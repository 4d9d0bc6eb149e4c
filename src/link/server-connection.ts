import type { Duplex } from 'node:stream';
import { JubakoError, type ErrorBody } from '../errors.js';
import type { Logger } from '../telemetry/logger.js';
import type { EncodedValue } from '../tensor/index.js';
import { draining, tooLarge, tooManyBytes, tooManyCalls, unexpected, unknownMethod } from './call-refusals.js';
import { CallTable } from './call-table.js';
import { encodeErrorBody, parseErrorBody } from './error-body.js';
import { FRAME, frameBytes, type Frame, type FrameKind } from './frame.js';
import {
  FLAG_NOT_BEGUN,
  MAX_CREDIT,
  readCreditMeta,
  readRequestMeta,
  REPLY_META_BYTES,
  type LinkLoad,
  type ReplyTiming,
} from './frame-meta.js';
import { FrameReader } from './frame-reader.js';
import { bodyOf, FrameWriter } from './frame-writer.js';
import { FIRST_FRAME_MAX_BYTES, parseClientHello, type ServerHello } from './hello.js';
import { IncomingCall, NO_TIMING, type CallOwner } from './incoming-call.js';
import { ToldLoad } from './told-load.js';

// C1 A frame that cannot be read closes this connection with a logged cause; nothing else notices.
// C2 A caller that does not read its answers is not read from: answers in memory stay below `PAUSE_AT_BYTES` and one turn,
//    and items of streams below the credit that was given by then.
// C3 When the connection goes, its open calls are cancelled.
// C4 A caller keeps to the limits of the hello; a call beyond is refused as not begun, and the others go on.

const PAUSE_AT_BYTES = 4 * 1024 * 1024;
/** How long a caller may take to say goodbye in return, and then to close, before the connection is cut. */
const GOODBYE_PATIENCE_MS = 2000;
const EMPTY: EncodedValue = bodyOf(new Uint8Array());

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
  #callBytes = 0;
  readonly #told = new ToldLoad();
  #heardAtMs = -Infinity;
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
    this.#writer.plain(FRAME.hello, 0, bodyOf(Buffer.from(JSON.stringify(hello))));
  }

  /** Every `TELL_MS`: sends the load where it is news that no other frame has brought. */
  tell(load: LinkLoad): void {
    if (this.#hello === undefined || !this.#told.isDue(load)) return;
    this.#told.tell(load);
    this.#writer.load(FRAME.load, load);
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
    this.#forget(call);
    const hello = this.#hello;
    if (this.#isClosed || hello === undefined) return;
    const totalBytes = frameBytes(REPLY_META_BYTES, value.byteLength);
    if (totalBytes <= hello.maxFrameBytes) this.#reply(FRAME.response, 0, call.id, timing, value);
    else this.#fail(call.id, 0, tooLarge(`the answer of "${call.method}"`, totalBytes, hello), timing);
    this.#afterReply();
  }

  refuse(call: IncomingCall, error: JubakoError | ErrorBody, timing: ReplyTiming): void {
    this.#forget(call);
    if (this.#isClosed) return;
    this.#fail(call.id, 0, error, timing);
    this.#afterReply();
  }

  sendItem(call: IncomingCall, value: EncodedValue): JubakoError | undefined {
    const hello = this.#hello;
    if (this.#isClosed || hello === undefined) return undefined;
    const totalBytes = frameBytes(0, value.byteLength);
    if (totalBytes > hello.maxFrameBytes) return tooLarge(`an item of "${call.method}"`, totalBytes, hello);
    this.#writer.plain(FRAME.item, call.id, value);
    if (this.#writer.pendingBytes > PAUSE_AT_BYTES) this.#socket.pause(); // C2
    return undefined;
  }

  end(call: IncomingCall, timing: ReplyTiming): void {
    this.#forget(call);
    if (this.#isClosed) return;
    this.#reply(FRAME.end, 0, call.id, timing, EMPTY);
    this.#afterReply();
  }

  begun(call: IncomingCall): void {
    if (this.#isClosed) return;
    this.#writer.plain(FRAME.begun, call.id);
    this.#writer.flush(); // before the run: the run may be the last that this process does
  }

  #forget(call: IncomingCall): void {
    if (this.#calls.delete(call.id)) this.#callBytes -= call.body.byteLength;
  }

  #afterReply(): void {
    if (this.#writer.pendingBytes > PAUSE_AT_BYTES) this.#socket.pause(); // C2; `drain` follows, for a write above its mark
    if (this.#isLeaving && this.#calls.size === 0) this.#leaveIfDone();
  }

  #reply(kind: FrameKind, flags: number, id: number, timing: ReplyTiming, value: EncodedValue): void {
    const load = this.#options.load();
    this.#told.tell(load);
    this.#writer.reply(kind, flags, id, timing, load, value);
  }

  #fail(id: number, flags: number, error: JubakoError | ErrorBody, timing: ReplyTiming): void {
    this.#reply(FRAME.error, flags, id, timing, bodyOf(encodeErrorBody(error)));
  }

  #onChunk(chunk: Buffer): void {
    this.#heardAtMs = performance.now();
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
      case FRAME.credit:
        return this.#onCredit(frame);
      case FRAME.ping:
        return this.#onPing();
      case FRAME.goodbye:
        this.#hasPeerLeft = true;
        return this.#leaveIfDone();
      case FRAME.error:
        return this.#onError(frame);
      case FRAME.load:
      case FRAME.pong:
      case FRAME.begun:
      case FRAME.hello:
      case FRAME.response:
      case FRAME.item:
      case FRAME.end:
        throw unexpected(frame, 'from a caller');
      default:
        return frame.kind satisfies never;
    }
  }

  #onRequest(frame: Frame): void {
    const hello = this.#hello;
    if (hello === undefined) throw unexpected(frame, 'before the hello of this runner');
    if (this.#hasPeerLeft) throw unexpected(frame, 'after its goodbye');
    const meta = readRequestMeta(frame);
    const method = hello.methods[meta.methodIndex];
    if (method === undefined) throw unknownMethod(meta.methodIndex, hello);
    if (meta.credit > 0 && !method.streams) throw unexpected(frame, `with credit: "${method.name}" does not stream`);
    if (frame.id === 0 || this.#calls.has(frame.id))
      throw new JubakoError('LINK_PROTOCOL', `Cannot begin call ${frame.id}: the id is in use`);
    this.#writer.seenId = frame.id;
    if (this.#isLeaving) return this.#fail(frame.id, FLAG_NOT_BEGUN, draining(hello), NO_TIMING);
    if (this.#calls.size >= hello.maxInFlight)
      return this.#fail(frame.id, FLAG_NOT_BEGUN, tooManyCalls(hello), NO_TIMING); // C4
    if (this.#callBytes > 0 && this.#callBytes + frame.bodyBytes > hello.maxInFlightBytes)
      return this.#fail(frame.id, FLAG_NOT_BEGUN, tooManyBytes(hello, frame.bodyBytes), NO_TIMING);
    const call = new IncomingCall(this, frame, meta, method, this.#heardAtMs);
    this.#calls.add(call.id, call);
    this.#callBytes += frame.bodyBytes;
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
    this.#forget(call);
    call.cancel();
    if (this.#isLeaving) this.#leaveIfDone();
  }

  #onCredit(frame: Frame): void {
    const count = readCreditMeta(frame);
    const call = this.#calls.get(frame.id);
    if (call === undefined) return; // its end is under way
    if (!call.isStream) throw unexpected(frame, `for call ${frame.id}, which does not stream`);
    if (call.credit + count > MAX_CREDIT)
      throw unexpected(frame, `for call ${frame.id}: it would have more than ${MAX_CREDIT}`);
    call.grant(count);
  }

  #onPing(): void {
    const load = this.#options.load();
    this.#told.tell(load);
    this.#writer.load(FRAME.pong, load);
  }

  /** The caller cannot use this connection, and says why. */
  #onError(frame: Frame): void {
    const { message } = parseErrorBody(frame.body);
    this.#options.logger.warn(
      { event: 'link.closed', peer: this.#peer, err: { message } },
      `link closed by the caller: ${message}`,
    );
    this.#reader.stop();
    this.#socket.destroy();
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
    this.#fail(0, 0, error, NO_TIMING);
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
    this.#callBytes = 0;
    for (const call of calls) call.cancel(); // C3
  }
}
