import type { ErrorBody } from '../errors.js';
import type { EntryPoint } from '../ipc/manifest.js';
import type { Dtype } from '../tensor/index.js';

// Between a runner worker's main thread and its compute thread. Buffers are transferred, never shared.

/** What the thread is started with. */
export interface ThreadBoot {
  readonly entry: EntryPoint;
  readonly runner: string;
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

export type ToThread =
  | {
      readonly type: 'run';
      readonly jobId: number;
      readonly method: string;
      readonly rows: number;
      readonly payload: ThreadPayload;
      readonly requestIds: readonly string[];
    }
  | { readonly type: 'abort'; readonly jobId: number };

export type FromThread =
  | { readonly type: 'ready' }
  /** The stack of the user's code is in `details.stack`. */
  | { readonly type: 'loadFailed'; readonly error: ErrorBody }
  | { readonly type: 'done'; readonly jobId: number; readonly result: ThreadResult; readonly computeMs: number }
  | {
      readonly type: 'failed';
      readonly jobId: number;
      readonly error: ErrorBody;
      readonly stack: string | undefined;
      readonly computeMs: number;
    };
