import { JubakoError } from '../errors.js';

const WANTED = 'wanted base64 (A-Z, a-z, 0-9, "+" and "/", filled up with "=")';

/**
 * Base64 text → bytes. Strict, since what is skipped or guessed would change the bytes: the alphabet of RFC 4648 section 4,
 * padded, nothing in between, no bits left over.
 * @param path - JSON Pointer of the text.
 * @throws {JubakoError} INVALID_INPUT - names the path and the position of the first character that does not fit.
 */
export function decodeBase64(text: string, path: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  // Decoding skips what it does not know. Writing it again and comparing is four times as fast as a regular expression.
  if (bytes.toString('base64') === text) return bytes;
  const why = faultOf(text);
  throw new JubakoError('INVALID_INPUT', `Cannot read base64: ${path} ${why}, ${WANTED}`, {
    details: [{ path, message: why }],
  });
}

function faultOf(text: string): string {
  const at = text.search(/[^A-Za-z0-9+/]/);
  const isPadding = at !== -1 && /^={1,2}$/.test(text.slice(at));
  if (at !== -1 && !isPadding) return `has ${JSON.stringify(text[at])} at character ${at}`;
  if (text.length % 4 !== 0) return `has ${text.length} characters, which is no multiple of 4`;
  return `has bits left over at character ${(at === -1 ? text.length : at) - 1}`;
}

export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
