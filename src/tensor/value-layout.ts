import type { Tensor } from './tensor.js';

// How a value crosses the runner link: a JSON-able value, a Tensor, or a tree of JSON with Tensors and Uint8Arrays in it.
// Little endian; offsets count from the start of the body.
//   json    u8 0 | UTF-8 text
//   tensor  u8 1 | u8 dtype | u8 rank | u8 0 | u32 dataBytes | u32 dims[rank] | pad to 8 | data
//   tree    u8 2 | u8 0, 0, 0 | u32 textBytes | u32 partCount | u32 0 | text | pad to 8 | (part | pad to 8)*
//   bytes   u8 3 | u8 0, 0, 0 | u32 dataBytes | data; a part of a tree only, like `tensor`
// The data of a string tensor is one `u32 byteLength | UTF-8 bytes` per element. In the text of a tree, {"\u0000": i}
// stands for part i.
// V1 No length, count, rank or dimension is believed before it is checked; what does not fit is LINK_PROTOCOL.
// V2 Data starts at a multiple of 8: a body at an aligned address gives views, another one copies.
// V3 Nothing that is decoded can run: JSON text and numbers only.

export type Part = Tensor | Uint8Array;

export const FORM_JSON = 0;
export const FORM_TENSOR = 1;
export const FORM_TREE = 2;
export const FORM_BYTES = 3;

export const PART_HEAD_BYTES = 8;
export const TREE_HEAD_BYTES = 16;
export const PART_KEY = '\u0000';

/** Levels of arrays and objects; who walks deeper ones risks its stack. HTTP bodies are held to fewer long before. */
export const MAX_DEPTH = 512;
export const MAX_U32 = 0xffff_ffff;

export function pad8(bytes: number): number {
  return Math.ceil(bytes / 8) * 8; // not with bit operators: they would cut numbers above 2^31
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16)) +
    (bytes[at + 3] as number) * 0x100_0000
  );
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}
