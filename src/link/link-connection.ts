import type { ClientRequest } from 'node:http';
import type { Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { formatRunnerAddress, type RunnerAddress } from '../config/addresses.js';
import { JubakoError } from '../errors.js';
import { decodeValue } from '../tensor/index.js';
import { CallTable } from './call-table.js';
import type { WorkerView } from './choose-worker.js';
import { connectLink } from './connect-link.js';
import { parseErrorBody } from './error-body.js';
import {
  FLAG_NOT_BEGUN,
  FRAME,
  frameBytes,
  readLoadMeta,
  readReplyMeta,
  REQUEST_META_BYTES,
  type Frame,
  type LinkLoad,
} from './frame.js';
import { FrameReader } from './frame-reader.js';
import { FrameWriter } from './frame-writer.js';
import { FIRST_FRAME_MAX_BYTES, LINK_VERSION, parseServerHello, type LinkMethod, type ServerHello } from './hello.js';
import type { CallHolder, OutgoingCall } from './outgoing-call.js';

// N1 The life of a connection: connecting → greeting → open → leaving → closed; it may be closed from any state.
// N2 A call that is sent is in `#calls` until it is answered, dropped, refused or lost, each of which ends its stay once.
// N3 Answers are always read, whatever waits to be written: so two full buffers cannot wait for each other.

type State = 'connecting' | 'greeting' | 'open' | 'leaving' | 'closed';

/**
 * Bytes that may wait for a worker that does not read; a call beyond goes elsewhere or is refused. The stream counts one
 * large write until all of it is taken, so this is far above what 64 calls of 1 MB have really outstanding.
 */
const MAX_PENDING_BYTES = 256 * 1024 * 1024;
/** Ticks without a byte after which the other side is taken for dead. It is asked (ping) from the first one on. */
const MAX_SILENT_TICKS = 5;
const MAX_U32 = 0xffff_ffff;
/** Longest request id in the frame, for the size check. */
const ID_BYTES = 3 * 1024;

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
  methods: readonly LinkMethod[] = [];
  reportedRows = 0;
  reportedAtMs = -Infinity;
  readonly #options: LinkConnectionOptions;
  readonly #owner: LinkConnectionOwner;
  readonly #calls = new CallTable<OutgoingCall>();
  readonly #methodIndexes = new Map<string, number>();
  readonly #connecting: ClientRequest;
  readonly #reader = new FrameReader(FIRST_FRAME_MAX_BYTES, (frame) => {
    this.#onFrame(frame);
  });
  #socket: Socket | undefined;
  #writer: FrameWriter | undefined;
  #state: State = 'connecting';
  #lastId = 0;
  #maxInFlight = 0;
  #maxFrameBytes = 0;
  #chunkAtMs = 0;
  #hasHeard = false;
  #silentTicks = 0;
  #socketError: Error | undefined;

  constructor(options: LinkConnectionOptions, owner: LinkConnectionOwner) {
    this.address = formatRunnerAddress(options.address);
    this.#options = options;
    this.#owner = owner;
    this.#connecting = connectLink(options, {
      onSocket: (socket, head) => {
        this.#start(socket, head);
      },
      onFailed: (error) => {
        this.#close(error);
      },
    });
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get accepts(): boolean {
    return (
      this.#state === 'open' &&
      this.#calls.size < this.#maxInFlight &&
      this.#writer !== undefined &&
      this.#writer.pendingBytes < MAX_PENDING_BYTES
    );
  }

  get inFlight(): number {
    return this.#calls.size;
  }

  methodIndex(name: string): number | undefined {
    return this.#methodIndexes.get(name);
  }

  /**
   * The connection `accepts`, and has the method.
   * @throws {JubakoError} TOO_LARGE, INVALID_INPUT - nothing was sent.
   */
  send(call: OutgoingCall, methodIndex: number): void {
    const { request, value } = call;
    if (value.byteLength + ID_BYTES > this.#maxFrameBytes) this.#checkSize(call);
    const id = this.#nextId();
    const { deadlineAtMs } = request;
    const remainingMs = deadlineAtMs === undefined ? 0 : Math.ceil(deadlineAtMs - performance.now());
    const sentMs = deadlineAtMs === undefined ? 0 : Math.min(MAX_U32, Math.max(1, remainingMs));
    this.#writer?.request(id, methodIndex, request.requestId, sentMs, value);
    call.id = id;
    call.holder = this;
    call.isRepeatable = this.methods[methodIndex]?.idempotent === true;
    this.#calls.add(id, call);
  }

  drop(call: OutgoingCall): void {
    if (!this.#calls.delete(call.id)) return;
    this.#writer?.plain(FRAME.cancel, call.id);
    this.#endIfDone();
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

  /** Once a second: notices a peer that is gone without a word. */
  tick(): void {
    if (this.#writer === undefined) return; // connecting has a time limit of its own
    if (this.#hasHeard) {
      this.#hasHeard = false;
      this.#silentTicks = 0;
      return;
    }
    this.#silentTicks += 1;
    if (this.#silentTicks < MAX_SILENT_TICKS) this.#writer.plain(FRAME.ping, 0);
    else this.destroy(new JubakoError('RUNNER_LOST', `it has said nothing for ${MAX_SILENT_TICKS} s, pings included`));
  }

  /** Expires the calls that are due; returns when the next one is. */
  sweep(nowMs: number): number {
    let earliestAtMs = Infinity;
    for (const call of this.#calls.values()) {
      if (call.expiresAtMs <= nowMs) call.expire(nowMs);
      else if (call.expiresAtMs < earliestAtMs) earliestAtMs = call.expiresAtMs;
    }
    return earliestAtMs;
  }

  #start(socket: Socket, head: Buffer): void {
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
    this.#writer.plain(
      FRAME.hello,
      0,
      Buffer.from(JSON.stringify({ version: LINK_VERSION, peer: this.#options.peer })),
    );
    if (head.length > 0) this.#onChunk(head);
  }

  #onChunk(chunk: Buffer): void {
    this.#hasHeard = true;
    this.#chunkAtMs = performance.now();
    try {
      this.#reader.push(chunk);
    } catch (thrown) {
      this.destroy(JubakoError.from(thrown));
    }
  }

  #onFrame(frame: Frame): void {
    switch (frame.kind) {
      case FRAME.response:
        return this.#onResponse(frame);
      case FRAME.error:
        return this.#onError(frame);
      case FRAME.load:
      case FRAME.pong:
        return this.#sawLoad(readLoadMeta(frame));
      case FRAME.hello:
        return this.#onHello(frame);
      case FRAME.goodbye:
        if (this.#state === 'open') this.#leave();
        return;
      case FRAME.ping:
      case FRAME.request:
      case FRAME.cancel:
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
    this.methods = hello.methods;
    hello.methods.forEach((method, index) => this.#methodIndexes.set(method.name, index));
    this.#maxInFlight = hello.maxInFlight;
    this.#maxFrameBytes = hello.maxFrameBytes;
    this.#reader.maxFrameBytes = hello.maxFrameBytes;
    this.#state = 'open';
    this.#owner.onOpen(this, hello);
  }

  #onResponse(frame: Frame): void {
    const call = this.#takeReplied(frame);
    if (call === undefined) return;
    let value: unknown;
    try {
      value = decodeValue(frame.body);
    } catch (thrown) {
      call.fail(JubakoError.from(thrown));
      throw thrown;
    }
    call.succeed(value);
    if (this.#state === 'leaving') this.#endIfDone();
  }

  #onError(frame: Frame): void {
    const error = parseErrorBody(frame.body);
    if (frame.id === 0) throw error;
    const call = this.#takeReplied(frame);
    if (call === undefined) return;
    if (error.code === 'DRAINING' && (frame.flags & FLAG_NOT_BEGUN) !== 0) {
      if (this.#state === 'open') this.#leave();
      this.#owner.onRefused(call);
    } else {
      call.fail(error);
    }
    this.#endIfDone();
  }

  /** Undefined for a call that was dropped: its cancel and its answer crossed. */
  #takeReplied(frame: Frame): OutgoingCall | undefined {
    const meta = readReplyMeta(frame);
    this.#sawLoad(meta);
    const call = this.#calls.get(frame.id);
    if (call === undefined) return undefined;
    this.#calls.delete(frame.id);
    const { timing } = call.request;
    timing.queueMs += meta.queueMs;
    timing.batchMs += meta.batchMs;
    timing.computeMs += meta.computeMs;
    if (meta.batchRows > timing.batchRows) timing.batchRows = meta.batchRows;
    return call;
  }

  #sawLoad(load: LinkLoad): void {
    this.reportedRows = load.queuedRows + load.inFlightRows;
    this.reportedAtMs = this.#chunkAtMs;
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

  #close(error: JubakoError | undefined): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#reader.stop();
    const calls = this.#calls.values();
    this.#calls.clear();
    for (const call of calls) call.holder = undefined;
    this.#owner.onClosed(this, error, calls);
  }

  #nextId(): number {
    do this.#lastId = this.#lastId >= MAX_U32 ? 1 : this.#lastId + 1;
    while (this.#calls.has(this.#lastId));
    return this.#lastId;
  }

  #checkSize(call: OutgoingCall): void {
    const { runner, method, requestId } = call.request;
    const totalBytes = frameBytes(REQUEST_META_BYTES + Buffer.byteLength(requestId), call.value.byteLength);
    if (totalBytes <= this.#maxFrameBytes) return;
    throw new JubakoError(
      'TOO_LARGE',
      `Cannot call ${runner}.${method}: the input has ${totalBytes} bytes, the runner takes ${this.#maxFrameBytes}`,
    );
  }
}

function lostBy(cause: Error | undefined): JubakoError {
  return new JubakoError('RUNNER_LOST', cause?.message ?? 'the connection was closed', { cause });
}
