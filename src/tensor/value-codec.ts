export { decodeValue, peekValue, type PeekedValue } from './value-decoder.js';
export { encodeJsonText, encodeValue, type EncodedValue } from './value-encoder.js';
