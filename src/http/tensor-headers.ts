import type { DescriptorSpec } from '../descriptor/descriptor.js';

// The binary form of a tensor in HTTP: raw little-endian elements, with dtype and shape beside them.

export const BINARY_TYPE = 'application/octet-stream';
/** Lower case, as Node gives the headers of a request. */
export const DTYPE_HEADER = 'tensor-dtype';
export const SHAPE_HEADER = 'tensor-shape';

/** Texts have no fixed size, hence no binary form. */
export function isBinaryTensor(spec: DescriptorSpec): boolean {
  return spec.kind === 'tensor' && spec.dtype !== 'string';
}
