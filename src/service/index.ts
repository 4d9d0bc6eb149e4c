export * from './define.js';
export type * from './descriptor.js';
export { json, type TypedSchema } from './json-descriptor.js';
export { stream } from './stream-descriptor.js';
export { tensor, tensors, type TensorOptions, type TensorsOptions } from './tensor-descriptor.js';
