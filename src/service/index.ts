export * from './define.js';
export type * from './extensions.js';
export type * from '../descriptor/descriptor.js';
export { json, type TypedSchema } from '../descriptor/json-descriptor.js';
export { stream } from '../descriptor/stream-descriptor.js';
export { tensor, tensors, type TensorOptions, type TensorsOptions } from '../descriptor/tensor-descriptor.js';
