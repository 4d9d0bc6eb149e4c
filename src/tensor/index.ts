export * from './chunked-tensor.js';
export * from './dtype.js';
export * from './non-finite.js';
export * from './tensor.js';
export * from './value-codec.js';
