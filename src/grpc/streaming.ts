import type {
  ServerDuplexStream,
  ServerWritableStream,
  handleBidiStreamingCall,
  handleServerStreamingCall,
} from '@grpc/grpc-js';
import type { CancelTarget } from '../cancellation.js';
import { JubakoError } from '../errors.js';
import { rpcOf, type Refuse, type Rpc } from './rpc-life.js';

// The bridge from async iterables to the streaming calls of grpc-js; nothing thrown gets past it.
// W1 The source is asked for its next answer only while at most one answer waits to be written, and a message is read off
//    the connection only while at most one waits to be asked for: a slow side stops the other one.
// W2 Once the caller has gone, the deadline has passed or the call was given up, the source is told to end in the same
//    turn, whatever it waits for, and what it does after that interests nobody.

/** Answers under way to one client: one that HTTP/2 works on, one ready to follow it. */
const MAX_UNWRITTEN = 2;
/** Messages that wait for the work to ask for them. */
const MAX_UNREAD = 1;

/** What answers one RPC with a stream. Throws JubakoErrors, at once or at any value. */
export type ServerStreamingWork<Request, Response> = (request: Request, rpc: Rpc) => AsyncIterable<Response>;

/**
 * What answers a stream with a stream. `requests` ends when the client has sent its last message, and throws what ended the
 * call: INVALID_INPUT for a message that cannot be decoded, CLIENT_GONE, DEADLINE_EXCEEDED.
 */
export type BidirectionalWork<Request, Response> = (
  requests: AsyncIterable<Request>,
  rpc: Rpc,
) => AsyncIterable<Response>;

export function serverStreaming<Request, Response>(
  work: ServerStreamingWork<Request, Response>,
  refuse: Refuse,
): handleServerStreamingCall<Request, Response> {
  return (call) => {
    const rpc = rpcOf(call);
    void new AnswerStream<Response>(call, rpc, refuse).run(() => work(call.request, rpc));
  };
}

export function bidirectional<Request, Response>(
  work: BidirectionalWork<Request, Response>,
  refuse: Refuse,
): handleBidiStreamingCall<Request, Response> {
  return (call) => {
    const rpc = rpcOf(call);
    const requests = new RequestStream<Request>(call, rpc);
    void new AnswerStream<Response>(call, rpc, refuse).run(() => work(requests, rpc));
  };
}

type AnswerCall<Response> = ServerWritableStream<unknown, Response> | ServerDuplexStream<unknown, Response>;

/** Writes what a source gives to one call, until one of them ends. */
class AnswerStream<Response> implements CancelTarget {
  readonly #call: AnswerCall<Response>;
  readonly #rpc: Rpc;
  readonly #refuse: Refuse;
  #iterator: AsyncIterator<Response> | undefined;
  #isOver = false;
  #unwritten = 0;
  #onWritten: (() => void) | undefined;

  constructor(call: AnswerCall<Response>, rpc: Rpc, refuse: Refuse) {
    this.#call = call;
    this.#rpc = rpc;
    this.#refuse = refuse;
  }

  /** Never rejects. */
  async run(source: () => AsyncIterable<Response>): Promise<void> {
    try {
      const { cancellation } = this.#rpc;
      if (cancellation.reason !== undefined) throw cancellation.reason;
      cancellation.add(this);
      const iterator = source()[Symbol.asyncIterator]();
      this.#iterator = iterator;
      for (;;) {
        const result = await iterator.next();
        if (this.#hasEnded()) return;
        if (result.done === true) break;
        await this.#write(result.value);
        if (this.#hasEnded()) return;
      }
      this.#finish();
      this.#call.end();
    } catch (thrown) {
      if (!this.#isOver) this.#fail(thrown);
    }
  }

  /** W2 */
  onCancel(reason: JubakoError): void {
    this.#fail(reason);
    endQuietly(this.#iterator);
    this.#onWritten?.();
  }

  #hasEnded(): boolean {
    return this.#isOver;
  }

  /** Resolves when the source may be asked for more (W1). */
  #write(value: Response): Promise<void> | undefined {
    this.#unwritten += 1;
    this.#call.write(value, () => {
      this.#unwritten -= 1;
      this.#onWritten?.();
    });
    if (this.#unwritten < MAX_UNWRITTEN) return undefined;
    return new Promise((resolve) => {
      this.#onWritten = (): void => {
        this.#onWritten = undefined;
        resolve();
      };
    });
  }

  #fail(thrown: unknown): void {
    this.#finish();
    if (this.#rpc.isAnswered) return;
    this.#call.emit('error', this.#refuse(thrown, this.#rpc)); // grpc-js: the status that follows what was written
  }

  #finish(): void {
    this.#isOver = true;
    this.#rpc.cancellation.remove(this);
  }
}

const END: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });

interface PendingRequest<Request> {
  readonly resolve: (result: IteratorResult<Request, undefined>) => void;
  readonly reject: (error: JubakoError) => void;
}

/** The messages of one call, each read when it is asked for. One `next` at a time. */
class RequestStream<Request> implements AsyncIterableIterator<Request, undefined>, CancelTarget {
  readonly #call: ServerDuplexStream<Request, unknown>;
  readonly #rpc: Rpc;
  #pending: PendingRequest<Request> | undefined;
  #hasEnded = false;

  constructor(call: ServerDuplexStream<Request, unknown>, rpc: Rpc) {
    this.#call = call;
    this.#rpc = rpc;
    rpc.mayRead = (): boolean => call.readableLength < MAX_UNREAD;
    call.on('readable', () => {
      this.#look();
    });
    const end = (): void => {
      void this.return(); // never rejects
    };
    // Clients on Node end a stream before they reset it: what came with the end is looked at first.
    call.on('end', () => setImmediate(end));
    call.on('close', end);
    if (rpc.cancellation.reason === undefined) rpc.cancellation.add(this);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Request, undefined>> {
    if (this.#pending !== undefined) throw new TypeError('Cannot ask a stream for two messages at a time');
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      this.#look();
    });
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    this.#hasEnded = true;
    this.#rpc.cancellation.remove(this);
    this.#look();
    return Promise.resolve(END);
  }

  onCancel(): void {
    this.#look();
  }

  /** Settles what is pending if that can be done by now. */
  #look(): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    const result = this.#take();
    if (result === undefined) return;
    this.#pending = undefined;
    if (result instanceof JubakoError) pending.reject(result);
    else pending.resolve(result);
  }

  #take(): IteratorResult<Request, undefined> | JubakoError | undefined {
    const { reason } = this.#rpc.cancellation;
    if (reason !== undefined) return reason;
    if (this.#hasEnded) return END;
    const value = this.#call.read() as Request | null;
    if (value === null) return undefined;
    this.#rpc.call?.readOn();
    return { done: false, value };
  }
}

/** Nobody waits for it: a source that is stuck ends when what it is stuck in does. */
function endQuietly(iterator: AsyncIterator<unknown> | undefined): void {
  try {
    iterator?.return?.().then(undefined, ignore);
  } catch {
    // What a source throws when it is told to end is of no use to a caller that has gone.
  }
}

function ignore(): void {
  // As above.
}
