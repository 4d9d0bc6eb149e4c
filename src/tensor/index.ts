export * from './dtype.js';
export * from './tensor.js';
export * from './value-codec.js';
