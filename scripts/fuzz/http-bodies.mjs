// Media types, forms, and compressed bodies that become far more than they are.
import { brotliCompressSync, deflateRawSync, gzipSync } from 'node:zlib';

export const JSON_TYPE = 'application/json';
export const VALUE_TYPE = 'application/vnd.jubako.value';
export const BINARY_TYPE = 'application/octet-stream';
export const FORM_TYPE = 'multipart/form-data';

/** What an operation need not document: the request is none, or its head is too large. */
export const NO_REQUEST = [400, 413];

/** @param parts - `{ name, type, fileName, bytes }`, type and file name only where there is one. */
export function writeForm(parts, boundary) {
  const pieces = [];
  for (const { name, type, fileName, bytes } of parts) {
    const file = fileName === undefined ? '' : `; filename="${fileName}"`;
    const head = [`--${boundary}`, `Content-Disposition: form-data; name="${name}"${file}`];
    if (type !== undefined) head.push(`Content-Type: ${type}`);
    pieces.push(Buffer.from(`${head.join('\r\n')}\r\n\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]);
}

const BOMB_BYTES = 64 * 1024 * 1024;
export const BOMB = gzipSync(Buffer.alloc(BOMB_BYTES, ' '));
export const DEFLATE_BOMB = deflateRawSync(Buffer.alloc(BOMB_BYTES, '['));
export const BROTLI_BOMB = brotliCompressSync(Buffer.alloc(BOMB_BYTES, '1'));
