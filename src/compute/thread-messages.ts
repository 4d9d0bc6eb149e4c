import type { SecureContextOptions } from 'node:tls';
import type { MessagePort } from 'node:worker_threads';
import type { RunnerMap } from '../config/addresses.js';
import type { ErrorBody } from '../errors.js';
import type { EntryPoint } from '../ipc/manifest.js';
import type { LoadContext } from '../service/define.js';
import type { Dtype } from '../tensor/index.js';

// Between a worker's main thread and its compute threads. Buffers are transferred, never shared.

/** What a thread is started with. */
export interface ThreadBoot {
  readonly entry: EntryPoint;
  readonly runner: string;
  readonly place: LoadContext;
  /** How its methods reach the runners that they call; null: they call none. */
  readonly calls: NestedCalls | null;
}

/** What the thread itself gets. */
export interface ThreadStart {
  readonly boot: ThreadBoot;
  /** Moves with it. */
  readonly port: MessagePort;
  readonly logLevel: string;
}

/** What the links of a compute thread need; all of it can be cloned. */
export interface NestedCalls {
  /** May name more runners than this one calls. */
  readonly map: RunnerMap;
  /** Name of this worker, for the logs of the runners. */
  readonly peer: string;
  readonly token: string | null;
  /** For `tls://` addresses: texts only. */
  readonly tls: SecureContextOptions | undefined;
  /** Limit for a call by a run that has no deadline, in ms; 0 = none. */
  readonly timeoutMs: number;
}

/** A tensor on its way; `data` is a typed array over its own buffer, or a list of texts. `name` is '' for a lone tensor. */
export interface WireTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly data: ArrayBufferView | readonly string[];
}

/** Tensors by name, or JSON text: of one value, or where the method is batched a list with one value per row. */
export type ThreadPayload =
  | { readonly kind: 'tensors'; readonly tensors: readonly WireTensor[] }
  | { readonly kind: 'json'; readonly text: Uint8Array };

/** JSON results come as one text with the end of each item in it, so that splitting them is no parsing. */
export type ThreadResult =
  | { readonly kind: 'tensors'; readonly tensors: readonly WireTensor[] }
  | { readonly kind: 'json'; readonly text: Uint8Array; readonly ends: readonly number[] };

/** A run, or a stream of values, of one method. */
export interface JobMessage {
  readonly type: 'run' | 'stream';
  readonly jobId: number;
  readonly method: string;
  readonly rows: number;
  readonly payload: ThreadPayload;
  readonly requestIds: readonly string[];
  /** On the clock of `toProcessMs`. */
  readonly deadlineAtProcessMs: number | undefined;
}

export type ToThread =
  | JobMessage
  /** A stream may give `count` more values. */
  | { readonly type: 'pull'; readonly jobId: number; readonly count: number }
  | { readonly type: 'abort'; readonly jobId: number }
  | { readonly type: 'runnerMap'; readonly map: RunnerMap };

export type FromThread =
  | { readonly type: 'ready' }
  /** The stack of the user's code is in `details.stack`. */
  | { readonly type: 'loadFailed'; readonly error: ErrorBody }
  /** A log line of the links, as pino writes it. */
  | { readonly type: 'log'; readonly line: string }
  | JobAnswer;

/** A run is answered by one `done` or `failed`; a stream by its values and then one `end` or `failed`. */
export type JobAnswer =
  | {
      readonly type: 'done';
      readonly jobId: number;
      readonly result: ThreadResult;
      readonly computeMs: number;
      /** Buffers of the payload that come back to be used again. */
      readonly spent: readonly ArrayBuffer[];
    }
  | { readonly type: 'item'; readonly jobId: number; readonly result: ThreadResult }
  | { readonly type: 'end'; readonly jobId: number; readonly computeMs: number }
  | {
      readonly type: 'failed';
      readonly jobId: number;
      readonly error: ErrorBody;
      readonly stack: string | undefined;
      readonly computeMs: number;
    };

export type PostFromThread = (message: FromThread, transfer?: readonly ArrayBuffer[]) => void;

/** The buffers that move with a payload or a result. */
export function buffersOf(value: ThreadPayload | ThreadResult): ArrayBuffer[] {
  if (value.kind === 'json') return [value.text.buffer as ArrayBuffer];
  return value.tensors.flatMap(({ data }) => (ArrayBuffer.isView(data) ? [data.buffer as ArrayBuffer] : []));
}
