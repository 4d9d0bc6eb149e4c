import type { Metadata, StatusObject, UntypedHandleCall, sendUnaryData } from '@grpc/grpc-js';
import { JubakoError } from '../errors.js';
import { rpcOf, type ForeignStatus, type Refuse, type Rpc } from './rpc-life.js';
import { completeStatus } from './status.js';

// Handlers that the user wrote for grpc-js, with what grpc-js leaves to them.
// F1 What a handler throws, rejects with, or gives as an error is answered as it is for APIs: a JubakoError by its row,
//    anything else as USER_CODE, of which only the log tells. A status that the handler chose, `{ code, details }` with a
//    number of gRPC, stays that status.
// F2 A stream that a handler destroys is answered too; grpc-js would let its client wait.

/** What grpc-js hands to a handler, as far as it is used here. */
interface ForeignCall {
  readonly metadata: Metadata;
  readonly destroyed?: boolean;
  emit(event: string | symbol, ...given: unknown[]): boolean;
  on(event: 'close', listener: () => void): unknown;
}

type Respond = sendUnaryData<unknown>;
type Handler = (call: ForeignCall, respond?: Respond) => unknown;

/** @param isUnary - neither side streams. */
export function adaptHandler(handler: UntypedHandleCall, isUnary: boolean, refuse: Refuse): UntypedHandleCall {
  const given = handler as Handler;
  const adapted: Handler = (call, respond) => {
    const rpc = rpcOf(call);
    rpc.isStreaming = !isUnary;
    const toStatus = (thrown: unknown, trailer?: Metadata): StatusObject => statusOf(thrown, trailer, rpc, refuse);
    if (!isUnary) watchErrors(call, rpc, toStatus);
    if (respond === undefined) {
      run(
        () => given(call),
        (thrown) => call.emit('error', thrown),
      );
      return;
    }
    const answer: Respond = (error, value, trailer, flags) => {
      if (error === null || error === undefined) respond(null, value, trailer, flags);
      else respond(toStatus(error, trailer));
    };
    run(
      () => given(call, answer),
      (thrown) => {
        respond(toStatus(thrown));
      },
    );
  };
  return adapted as UntypedHandleCall;
}

/** `fail` gets what `work` throws, at once or later. */
function run(work: () => unknown, fail: (thrown: unknown) => void): void {
  try {
    const result = work();
    if (result instanceof Promise) result.catch(fail);
  } catch (thrown) {
    fail(thrown);
  }
}

/** A stream is failed by its event "error", which a handler emits, or which follows when it destroys the stream. */
function watchErrors(call: ForeignCall, rpc: Rpc, toStatus: (thrown: unknown) => StatusObject): void {
  const emit = call.emit.bind(call);
  call.emit = (event, ...given): boolean => {
    if (event !== 'error') return emit(event, ...given);
    const status = toStatus(given[0]);
    const isHeard = emit(event, status);
    if (call.destroyed === true) rpc.call?.sendStatus(status); // F2
    return isHeard;
  };
  call.on('close', () => {
    if (!isSettled(rpc)) rpc.call?.end(new JubakoError('USER_CODE', 'The handler closed its call without a status')); // F2
  });
}

function isSettled({ isAnswered, cancellation }: Rpc): boolean {
  return isAnswered || cancellation.reason !== undefined;
}

/** F1. Once the call was given up, what fails because of it is no failure of the handler. */
function statusOf(thrown: unknown, trailer: Metadata | undefined, rpc: Rpc, refuse: Refuse): StatusObject {
  const { reason } = rpc.cancellation;
  if (reason !== undefined) return refuse(reason, rpc);
  if (isChosenStatus(thrown)) {
    const { code, metadata } = thrown;
    const details = thrown.details ?? thrown.message ?? '';
    return completeStatus({ code, details, metadata: trailer ?? metadata ?? null }, rpc.requestId);
  }
  const status = refuse(JubakoError.from(thrown, 'USER_CODE'), rpc);
  if (trailer !== undefined) status.metadata.merge(trailer);
  return status;
}

type ChosenStatus = Pick<ForeignStatus, 'code'> &
  Partial<ForeignStatus> & {
    readonly message?: string;
  };

const MAX_STATUS = 16;

function isChosenStatus(thrown: unknown): thrown is ChosenStatus {
  if (typeof thrown !== 'object' || thrown === null || thrown instanceof JubakoError) return false;
  const { code } = thrown as { readonly code?: unknown };
  return typeof code === 'number' && Number.isInteger(code) && code > 0 && code <= MAX_STATUS;
}
