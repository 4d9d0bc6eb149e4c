import type { JubakoError } from '../errors.js';
import type { ServedCall } from '../link/incoming-call.js';
import type { EncodedValue } from '../tensor/index.js';
import { encodeSlices, type ResultSlice, type Slice } from './assemble-batch.js';
import type { Priority, QueueEntry } from '../batching/batch-queue.js';
import type { CallInput } from './call-input.js';

// A call on its way through the queue and the model. Its rows may go in several batches.
// K1 It settles once; what comes later for it is dropped.
// K2 At most one piece of it waits: cutting a piece leaves the rest in the queue.

/** Rows of a call that go through the queue, or run, together. */
export interface Piece extends QueueEntry, Slice {
  readonly call: PendingCall;
}

interface RowsAnswered {
  readonly from: number;
  readonly slice: ResultSlice;
}

export class PendingCall {
  readonly served: ServedCall;
  /** Index of its method. */
  readonly method: number;
  readonly input: CallInput;
  /** Where its next rows wait, while they do. */
  waiting: Piece | undefined;
  queueMs = 0;
  batchMs = 0;
  computeMs = 0;
  batchRows = 0;
  isSettled = false;
  #rowsLeft: number;
  readonly #answered: RowsAnswered[] = [];

  constructor(served: ServedCall, method: number, input: CallInput, rows: number) {
    this.served = served;
    this.method = method;
    this.input = input;
    this.#rowsLeft = rows;
  }

  /** All of its rows as one piece. */
  whole(priority: Priority, queuedAtMs: number): Piece {
    return {
      call: this,
      input: this.input,
      from: 0,
      rows: this.#rowsLeft,
      batchKey: this.input.batchKey,
      priority,
      queuedAtMs,
      deadlineAtMs: this.served.deadlineAtMs,
      left: false,
    };
  }

  /** The value of the call once the last rows are there, else undefined. @throws {JubakoError} USER_CODE - they do not fit together. */
  add(piece: Piece, slice: ResultSlice): EncodedValue | undefined {
    this.#rowsLeft -= piece.rows;
    if (this.#answered.length === 0 && this.#rowsLeft === 0) return encodeSlices([slice]);
    this.#answered.push({ from: piece.from, slice });
    if (this.#rowsLeft > 0) return undefined;
    this.#answered.sort((a, b) => a.from - b.from);
    return encodeSlices(this.#answered.map((answered) => answered.slice));
  }

  /** Its batch has left the queue. */
  left(piece: Piece, queueMs: number, batchMs: number, rows: number): void {
    if (this.waiting === piece) this.waiting = undefined;
    if (queueMs > this.queueMs) this.queueMs = queueMs;
    this.batchMs += batchMs;
    if (rows > this.batchRows) this.batchRows = rows;
  }

  respond(value: EncodedValue): void {
    this.isSettled = true;
    this.served.respond(value, this);
  }

  fail(error: JubakoError): void {
    this.isSettled = true;
    this.served.fail(error, this);
  }
}

/** Its first `rows` rows, and the rest, which waits on. */
export function splitPiece(piece: Piece, rows: number): readonly [Piece, Piece] {
  const first: Piece = { ...piece, rows };
  const rest: Piece = { ...piece, from: piece.from + rows, rows: piece.rows - rows };
  piece.call.waiting = rest;
  return [first, rest];
}
