import type { Duplex } from 'node:stream';
import type { SecureContextOptions } from 'node:tls';
import { formatRunnerAddress, type RunnerAddress } from '../config/addresses.js';
import { JubakoError } from '../errors.js';
import { decodeValue } from '../tensor/index.js';
import type { WorkerView } from './choose-worker.js';
import { connectLink, type Dial } from './connect-link.js';
import { encodeErrorBody, parseErrorBody } from './error-body.js';
import { FRAME, type Frame } from './frame.js';
import { FLAG_NOT_BEGUN, readLoadMeta, readReplyMeta, toRequestFlags } from './frame-meta.js';
import { FrameReader } from './frame-reader.js';
import { bodyOf, FrameWriter } from './frame-writer.js';
import { FIRST_FRAME_MAX_BYTES, LINK_VERSION, parseServerHello, type LinkMethod, type ServerHello } from './hello.js';
import type { CallHolder, OutgoingCall } from './outgoing-call.js';
import { Pings } from './pings.js';
import { ReportedLoad } from './reported-load.js';
import { SentCalls } from './sent-calls.js';
import { Silence } from './silence.js';
import { WorkerTerms } from './worker-terms.js';

// N1 The life of a connection: connecting → greeting → open → leaving → closed; it may be closed from any state.
// N2 A call that is sent is in `#calls` until it is answered, dropped, refused or lost, each of which ends its stay once.
// N3 Answers are always read, whatever waits to be written: so two full buffers cannot wait for each other.
// N4 An answer that does not fit its call (an item without credit, a value for a stream) closes the connection.

type State = 'connecting' | 'greeting' | 'open' | 'leaving' | 'closed';

/**
 * Bytes that may wait to be written; a call beyond goes elsewhere or is refused. The limit of the hello (bytes of calls in
 * flight) does not bound them: calls that are given up are in flight no more, but to a worker that does not read their
 * bytes wait on. The stream counts one large write until all of it is taken.
 */
const MAX_PENDING_BYTES = 256 * 1024 * 1024;
const MAX_U32 = 0xffff_ffff;

export interface LinkConnectionOptions {
  readonly runner: string;
  readonly address: RunnerAddress;
  readonly peer: string;
  readonly token: string | null;
  readonly tls: SecureContextOptions | undefined;
}

export interface LinkConnectionOwner {
  /** The runner worker is ready and may be called. */
  onOpen(connection: LinkConnection, hello: ServerHello): void;
  /** It takes no more calls; those that it has go on. */
  onLeaving(connection: LinkConnection): void;
  /** The worker did not begin this call. */
  onRefused(call: OutgoingCall): void;
  /** Last event. `error`: undefined where the end was agreed on; `calls` were not answered. */
  onClosed(connection: LinkConnection, error: JubakoError | undefined, calls: readonly OutgoingCall[]): void;
}

/** The caller's end of one connection to one runner worker. */
export class LinkConnection implements CallHolder, WorkerView {
  readonly address: string;
  readonly load = new ReportedLoad();
  busyAtMs = 0;
  readonly #options: LinkConnectionOptions;
  readonly #owner: LinkConnectionOwner;
  readonly #calls = new SentCalls();
  readonly #connecting: { destroy(): void };
  readonly #silence = new Silence();
  readonly #pings = new Pings();
  readonly #reader = new FrameReader(FIRST_FRAME_MAX_BYTES, (frame) => {
    this.#onFrame(frame);
  });
  #socket: Duplex | undefined;
  #writer: FrameWriter | undefined;
  #state: State = 'connecting';
  #terms: WorkerTerms | undefined;
  #heardAtMs = -Infinity;
  #onHeard: (() => void)[] = [];
  #socketError: Error | undefined;

  constructor(options: LinkConnectionOptions, owner: LinkConnectionOwner, dial: Dial = connectLink) {
    this.address = formatRunnerAddress(options.address);
    this.#options = options;
    this.#owner = owner;
    this.#connecting = dial(options, {
      onSocket: (socket, head) => {
        this.#start(socket, head);
      },
      onFailed: (error) => {
        this.#close(error);
      },
    });
  }

  takes(bytes: number): boolean {
    return (
      this.#state === 'open' &&
      this.#terms?.takes(this.#calls, bytes) === true &&
      this.#writer !== undefined &&
      this.#writer.pendingBytes < MAX_PENDING_BYTES &&
      !(this.load.mayBeFull && this.load.isFull(performance.now()))
    );
  }

  get inFlight(): number {
    return this.#calls.size;
  }

  get sentSince(): number {
    return (this.#calls.lastId - this.load.seenId) >>> 0;
  }

  /** When the last bytes came. */
  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  /** Of the runner worker; it has some once it is open. */
  get methods(): readonly LinkMethod[] {
    return this.#terms?.methods ?? [];
  }

  methodIndex(call: OutgoingCall): number | undefined {
    return this.#terms?.methodIndex(call);
  }

  /**
   * The connection `takes` it, and has the method.
   * @throws {JubakoError} TOO_LARGE, INVALID_INPUT - nothing was sent.
   */
  send(call: OutgoingCall, methodIndex: number, nowMs: number): void {
    const { request, value, reader } = call;
    this.#terms?.checkSize(call);
    const id = this.#calls.nextId();
    const { deadlineAtMs } = request;
    if (this.#calls.size === 0) this.busyAtMs = nowMs;
    const remainingMs = deadlineAtMs === undefined ? 0 : Math.ceil(deadlineAtMs - nowMs);
    const sentMs = deadlineAtMs === undefined ? 0 : Math.min(MAX_U32, Math.max(1, remainingMs));
    const flags = toRequestFlags(request.priority, call.isReplay);
    const credit = reader === undefined ? 0 : reader.onSent((count) => this.#writer?.credit(id, count));
    this.#writer?.request(id, flags, methodIndex, request.requestId, sentMs, credit, value);
    call.id = id;
    call.holder = this;
    call.isRepeatable = this.methods[methodIndex]?.idempotent === true;
    this.#calls.add(call);
  }

  drop(call: OutgoingCall): void {
    if (!this.#calls.delete(call)) return;
    this.#writer?.plain(FRAME.cancel, call.id);
    this.#endIfDone();
  }

  /** Asks for a sign of life; `onHeard` is called once, at the next bytes. */
  ask(onHeard: () => void): void {
    this.#onHeard.push(onHeard);
    this.#ping();
  }

  /** Resolves when the worker has read all that was sent to it, answered or not, or the connection is closed. */
  async whenRead(): Promise<void> {
    if (this.#calls.size === 0) return;
    this.#ping();
    await this.#pings.whenAnswered();
  }

  /** No new calls; closes when the open ones are answered. */
  retire(): void {
    if (this.#state === 'open') this.#leave();
    else if (this.#state !== 'leaving') this.destroy(undefined);
  }

  destroy(error: JubakoError | undefined): void {
    this.#connecting.destroy();
    this.#socket?.destroy();
    this.#close(error);
  }

  /** Every `TICK_MS`: notices a peer that is gone without a word. */
  tick(): void {
    if (this.#writer === undefined) return; // connecting has a time limit of its own
    switch (this.#silence.tick(this.#calls.size > 0)) {
      case 'quiet':
        return;
      case 'ask':
        return this.#ping();
      case 'lost':
        return this.destroy(
          new JubakoError('RUNNER_LOST', `it has said nothing for ${this.#silence.silentMs} ms, pings included`),
        );
    }
  }

  /** Expires the calls that are due; returns when the next one is. */
  sweep(nowMs: number): number {
    return this.#calls.sweep(nowMs);
  }

  #start(socket: Duplex, head: Buffer): void {
    this.#state = 'greeting';
    this.#socket = socket;
    this.#writer = new FrameWriter(socket);
    socket.on('data', (chunk: Buffer) => {
      this.#onChunk(chunk);
    });
    socket.on('error', (error) => {
      this.#socketError = error; // `close` follows
    });
    socket.on('close', () => {
      this.#close(this.#state === 'leaving' && this.#calls.size === 0 ? undefined : lostBy(this.#socketError));
    });
    const hello = { version: LINK_VERSION, peer: this.#options.peer };
    this.#writer.plain(FRAME.hello, 0, bodyOf(Buffer.from(JSON.stringify(hello))));
    if (head.length > 0) this.#onChunk(head);
  }

  #onChunk(chunk: Buffer): void {
    this.#silence.heard();
    this.#heardAtMs = performance.now();
    try {
      this.#reader.push(chunk);
    } catch (thrown) {
      this.#refuse(JubakoError.from(thrown));
    }
    if (this.#onHeard.length > 0) for (const onHeard of this.#onHeard.splice(0)) onHeard();
  }

  #onFrame(frame: Frame): void {
    switch (frame.kind) {
      case FRAME.response:
        return this.#onResponse(frame);
      case FRAME.item:
        return this.#onItem(frame);
      case FRAME.end:
        return this.#onEnd(frame);
      case FRAME.error:
        return this.#onError(frame);
      case FRAME.load:
        return this.load.saw(readLoadMeta(frame), this.#heardAtMs);
      case FRAME.pong:
        this.#pings.answered();
        return this.load.saw(readLoadMeta(frame), this.#heardAtMs);
      case FRAME.begun:
        return this.#onBegun(frame.id);
      case FRAME.hello:
        return this.#onHello(frame);
      case FRAME.goodbye:
        if (this.#state === 'open') this.#leave();
        return;
      case FRAME.ping:
      case FRAME.request:
      case FRAME.cancel:
      case FRAME.credit:
        throw new JubakoError('LINK_PROTOCOL', `Cannot take a frame of kind ${frame.kind} from a runner`);
      default:
        return frame.kind satisfies never;
    }
  }

  #onHello(frame: Frame): void {
    if (this.#state !== 'greeting') throw new JubakoError('LINK_PROTOCOL', 'Cannot take a second hello');
    const hello = parseServerHello(frame.body);
    const { runner } = this.#options;
    if (hello.runner !== runner) {
      throw new JubakoError(
        'CONFIG_INVALID',
        `Cannot use ${this.address} as runner "${runner}": it serves runner "${hello.runner}"`,
      );
    }
    this.#terms = new WorkerTerms(hello);
    this.#reader.maxFrameBytes = hello.maxFrameBytes;
    this.#state = 'open';
    this.#owner.onOpen(this, hello);
  }

  #onResponse(frame: Frame): void {
    const call = this.#takeReplied(frame, false);
    if (call === undefined) return;
    call.succeed(this.#valueFor(call, frame));
    this.#endIfDone();
  }

  #onItem(frame: Frame): void {
    const call = this.#calls.get(frame.id);
    if (call === undefined) return; // its cancel is under way
    if (call.reader === undefined) throw misfit(frame);
    call.isRepeatable = false; // its caller has seen a part of the answer
    call.reader.push(this.#valueFor(call, frame), frame.bodyBytes);
  }

  #onBegun(id: number): void {
    const call = this.#calls.get(id);
    if (call !== undefined) call.isRepeatable = false; // it may be what ended its last worker
  }

  #onEnd(frame: Frame): void {
    const call = this.#takeReplied(frame, true);
    if (call === undefined) return;
    call.succeed(undefined);
    this.#endIfDone();
  }

  #onError(frame: Frame): void {
    const error = parseErrorBody(frame.body);
    if (frame.id === 0) throw error;
    const call = this.#takeReplied(frame, undefined);
    if (call === undefined) return;
    if (error.code === 'DRAINING' && (frame.flags & FLAG_NOT_BEGUN) !== 0) {
      if (this.#state === 'open') this.#leave();
      this.#owner.onRefused(call);
    } else {
      call.fail(error);
    }
    this.#endIfDone();
  }

  /**
   * Undefined for a call that was dropped: its cancel and its answer crossed.
   * @param isStream - what kind of call the frame answers; undefined: either.
   */
  #takeReplied(frame: Frame, isStream: boolean | undefined): OutgoingCall | undefined {
    const meta = readReplyMeta(frame);
    this.load.saw(meta, this.#heardAtMs);
    this.load.ran(meta);
    const call = this.#calls.get(frame.id);
    if (call === undefined) return undefined;
    if (isStream !== undefined && isStream !== (call.reader !== undefined)) throw misfit(frame); // N4
    this.#calls.delete(call);
    const { timing } = call.request;
    timing.queueMs += meta.queueMs;
    timing.batchMs += meta.batchMs;
    timing.computeMs += meta.computeMs;
    if (meta.batchRows > timing.batchRows) timing.batchRows = meta.batchRows;
    return call;
  }

  /** @throws {JubakoError} LINK_PROTOCOL - it cannot be read, and the call has failed with that. */
  #valueFor(call: OutgoingCall, frame: Frame): unknown {
    try {
      return decodeValue(frame.value);
    } catch (thrown) {
      this.#calls.delete(call);
      call.fail(JubakoError.from(thrown));
      throw thrown;
    }
  }

  #ping(): void {
    if (this.#writer === undefined) return;
    this.#pings.sent();
    this.#writer.plain(FRAME.ping, 0);
  }

  #leave(): void {
    this.#state = 'leaving';
    this.#writer?.plain(FRAME.goodbye, 0);
    this.#owner.onLeaving(this);
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#state === 'leaving' && this.#calls.size === 0) this.#writer?.end();
  }

  /** Closes at once; the other side hears why, as far as it still listens. */
  #refuse(error: JubakoError): void {
    if (this.#state === 'closed') return;
    this.#writer?.plain(FRAME.error, 0, bodyOf(encodeErrorBody(error)));
    this.#writer?.flush();
    this.destroy(error);
  }

  #close(error: JubakoError | undefined): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#reader.stop();
    this.#pings.end();
    const calls = this.#calls.takeAll();
    for (const call of calls) call.holder = undefined;
    this.#owner.onClosed(this, error, calls);
  }
}

function misfit(frame: Frame): JubakoError {
  return new JubakoError(
    'LINK_PROTOCOL',
    `Cannot take a frame of kind ${frame.kind} for call ${frame.id}: a stream is answered by items and an end, other calls by a response`,
  );
}

function lostBy(cause: Error | undefined): JubakoError {
  return new JubakoError('RUNNER_LOST', cause?.message ?? 'the connection was closed', { cause });
}
