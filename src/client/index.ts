// What `jubako/client` exports: nothing of Node, so that browsers and their bundlers take it.
export { createClient } from './create-client.js';
export { ClientError } from './client-error.js';
export type {
  Answer,
  ApiMethod,
  Client,
  ClientCallOptions,
  ClientOptions,
  ReservedName,
  TypedService,
} from './client-types.js';
export { JubakoError, type ErrorCode } from '../errors.js';
export { Table, type TableColumns, type TableRow, type TableRowInput } from '../descriptor/table.js';
export { Tensor, tensorOf } from '../tensor/tensor.js';
export type { Dtype, DtypeData, NumericDtype } from '../tensor/dtype.js';
