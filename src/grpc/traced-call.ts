import { constants, type ServerHttp2Stream } from 'node:http2';
import {
  Metadata,
  ServerInterceptingCall,
  status,
  type ServerInterceptingCallInterface,
  type ServerMethodDefinition,
  type StatusObject,
} from '@grpc/grpc-js';
import { JubakoError } from '../errors.js';
import { REQUEST_ID_HEADER } from '../service/request-id.js';
import { AnswerCompressor } from './answer-compression.js';
import { Undecodable } from './protos.js';
import { bindRpc, type CallControl, type ForeignStatus, type Refuse, type Rpc } from './rpc-life.js';
import { unreadAnswersOf, type UnreadAnswers } from './unread-answers.js';
import { completeStatus, ERROR_CODE_KEY, errorOfStatus, toStatus } from './status.js';

// T1 A call is answered once. Statuses that grpc-js sends by itself (its deadline timer, a message that is too large or
//    cannot be decompressed) are answers too: they pass here, get the code that the catalogue has for them, and what works
//    on the call is told.
// T2 Nothing of a call reaches a handler or an interceptor of the user before it was let in, and no message that is none.
// T3 What a handler or an interceptor throws at grpc-js ends its call and nothing else.

/** A status that waits for a client that reads nothing: so long after the deadline its stream is reset. */
const UNREAD_STATUS_MS = 1000;

type Listener = Parameters<ServerInterceptingCallInterface['start']>[0];
type SendStatus = ServerInterceptingCallInterface['sendStatus'];
type AnyMethod = ServerMethodDefinition<unknown, unknown>;

/** What holds for every call of a server. */
export interface CallRules {
  readonly refuse: Refuse;
  /** Lets a call in; `peer` as `getPeer` of grpc-js gives it. Undefined: all come in. @throws {JubakoError} */
  readonly admit: ((path: string, metadata: Metadata, peer: string) => void | Promise<void>) | undefined;
}

/** Stands between grpc-js and all else: ties a call to its Rpc and sees how it ends, whoever ends it. */
export class TracedCall extends ServerInterceptingCall implements Listener, CallControl {
  readonly stream: ServerHttp2Stream;
  readonly #base: ServerInterceptingCallInterface;
  readonly #rpc: Rpc;
  readonly #rules: CallRules;
  readonly #sendToClient: SendStatus;
  readonly #compressor: AnswerCompressor | undefined;
  #listener: Listener | undefined;
  #hasSentMetadata = false;
  readonly #unread: UnreadAnswers | undefined;
  #unreadBytes = 0;
  #isReadHeld = false;

  constructor(
    base: ServerInterceptingCallInterface,
    method: AnyMethod,
    rpc: Rpc,
    stream: ServerHttp2Stream,
    rules: CallRules,
  ) {
    super(base);
    this.#base = base;
    this.#rpc = rpc;
    this.#rules = rules;
    this.stream = stream;
    this.#sendToClient = base.sendStatus.bind(base);
    base.sendStatus = this.#onStatusOfBase; // T1
    const { answerEncoding } = rpc;
    if (answerEncoding !== undefined)
      this.#compressor = AnswerCompressor.of(base, answerEncoding, method.responseSerialize);
    if (stream.session !== undefined) this.#unread = unreadAnswersOf(stream.session);
    rpc.call = this;
  }

  override start(listener: Listener): void {
    this.#listener = listener;
    this.#base.start(this);
  }

  override startRead(): void {
    const { mayRead } = this.#rpc;
    if (mayRead === undefined || mayRead()) this.#base.startRead();
    else this.#isReadHeld = true;
  }

  readOn(): void {
    if (!this.#isReadHeld) return;
    this.#isReadHeld = false;
    this.startRead();
  }

  override sendMetadata(metadata: Metadata): void {
    if (this.#hasSentMetadata) return;
    this.#hasSentMetadata = true;
    metadata.set(REQUEST_ID_HEADER, this.#rpc.requestId);
    this.#compressor?.announce(metadata);
    this.#base.sendMetadata(metadata);
  }

  override sendMessage(message: unknown, callback: () => void): void {
    if (!this.#hasSentMetadata && !this.#rpc.isAnswered) this.sendMetadata(new Metadata());
    if (this.#compressor === undefined) this.#write(message, callback);
    else {
      this.#compressor.compress(message, (framed) => {
        this.#write(framed, callback);
      });
    }
  }

  #write(message: unknown, callback: () => void): void {
    if (this.#rpc.isAnswered) {
      callback(); // T1: grpc-js keeps answers that wait for the one before, and Node cuts a stream that is written to after its end
      return;
    }
    if (this.#unread?.isFull === true) {
      this.end(new JubakoError('QUEUE_FULL', 'Cannot keep the answer: the client does not read those before it'));
      return;
    }
    let bytes = 0;
    this.#base.sendMessage(message, () => {
      if (!this.#rpc.isOver) this.#countUnread(-bytes);
      callback();
    });
    bytes = this.stream.writableLength;
    if (!this.#rpc.isOver) this.#countUnread(bytes);
  }

  #countUnread(bytes: number): void {
    this.#unreadBytes += bytes;
    this.#unread?.add(bytes);
  }

  override sendStatus(given: ForeignStatus): void {
    if (this.#rpc.isAnswered) return; // T1
    if (given.code === status.OK && !this.#hasSentMetadata) this.sendMetadata(new Metadata()); // a stream of nothing
    this.#rpc.isAnswered = true;
    this.#sendToClient(isComplete(given) ? given : completeStatus(given, this.#rpc.requestId));
  }

  end(thrown: unknown): void {
    if (this.#rpc.isAnswered) return;
    const error = JubakoError.from(thrown, 'USER_CODE');
    this.sendStatus(this.#rules.refuse(error, this.#rpc));
    this.#rpc.cancellation.cancel(error);
  }

  /** At once, or when its handler has answered what it has begun. */
  endSoon(error: JubakoError): void {
    if (this.#rpc.endSoon === undefined) this.end(error);
    else this.#rpc.endSoon(error);
  }

  onReceiveMetadata(metadata: Metadata): void {
    const { refusal } = this.#rpc;
    bindRpc(metadata, this.#rpc);
    try {
      if (refusal !== undefined) throw refusal;
      const admitted = this.#rules.admit?.(this.#rpc.route, metadata, this.#base.getPeer());
      if (admitted === undefined) this.#listener?.onReceiveMetadata(metadata);
      else this.#enterAfter(admitted, metadata);
    } catch (thrown) {
      this.end(thrown);
    }
  }

  onReceiveMessage(message: unknown): void {
    try {
      if (message instanceof Undecodable) throw message.toError(); // T2
      this.#listener?.onReceiveMessage(message);
    } catch (thrown) {
      this.end(thrown);
    }
  }

  onReceiveHalfClose(): void {
    if (this.stream.closed) return; // by a reset, which Node ends the stream with as well: `onCancel` follows
    try {
      this.#listener?.onReceiveHalfClose();
    } catch (thrown) {
      this.end(thrown);
    }
  }

  /** Called at the end of every call: after its status was sent, and when the stream closes without one. */
  onCancel(): void {
    const rpc = this.#rpc;
    if (!rpc.isAnswered)
      rpc.cancellation.cancel(new JubakoError(rpc.endedBy(), `The caller of ${rpc.route} waits no longer`));
    try {
      this.#listener?.onCancel();
    } catch (thrown) {
      this.#rules.refuse(JubakoError.from(thrown, 'USER_CODE'), this.#rpc); // for the log: nobody waits for an answer
    }
    rpc.isOver = true;
    this.#countUnread(-this.#unreadBytes); // a write that a reset stops may have no end
    rpc.onOver?.();
  }

  #enterAfter(admitted: Promise<void>, metadata: Metadata): void {
    admitted
      .then(() => {
        if (!this.#rpc.isAnswered && this.#rpc.cancellation.reason === undefined)
          this.#listener?.onReceiveMetadata(metadata);
      })
      .catch((thrown: unknown) => {
        this.end(thrown);
      });
  }

  /** T1 */
  readonly #onStatusOfBase = (given: ForeignStatus): void => {
    if (this.stream.closed || this.stream.destroyed) {
      this.#sendToClient(given); // grpc-js sees that nobody is there
      return;
    }
    const wasAnswered = this.#rpc.isAnswered;
    this.#rpc.isAnswered = true;
    const error = errorOfStatus(given);
    this.#sendToClient(this.#statusOfBase(error, given.code));
    if (!wasAnswered) this.#rpc.cancellation.cancel(error);
    if (given.code === status.DEADLINE_EXCEEDED) setTimeout(reset, UNREAD_STATUS_MS, this.stream).unref();
  };

  #statusOfBase(error: JubakoError, code: status): StatusObject {
    if (error.kind.internal === true) return this.#rules.refuse(error, this.#rpc);
    // UNIMPLEMENTED: what the protocol wants for a compression that does not exist.
    return toStatus(error, this.#rpc.requestId, code === status.UNIMPLEMENTED ? code : undefined);
  }
}

function isComplete({ code, metadata }: ForeignStatus): boolean {
  return code === status.OK || (metadata?.get(ERROR_CODE_KEY) ?? []).length > 0;
}

function reset(stream: ServerHttp2Stream): void {
  if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL);
}
