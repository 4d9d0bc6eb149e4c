import { randomBytes } from 'node:crypto';
import type { Media } from '../descriptor/descriptor.js';
import { formData } from './content-disposition.js';
import { formatParameters } from './media-type.js';
import { FORM_TYPE } from './multipart-reader.js';

export interface WrittenForm {
  readonly contentType: string;
  readonly bytes: Buffer;
}

/** Named parts → a body of type multipart/form-data. The boundary is random: that it occurs in a part is beyond all chance. */
export function writeMultipart(parts: Readonly<Record<string, Media>>): WrittenForm {
  const boundary = `jubako-${randomBytes(16).toString('hex')}`;
  const pieces: Uint8Array[] = [];
  for (const [name, { mediaType, parameters, fileName, bytes }] of Object.entries(parts)) {
    const head = [
      `--${boundary}`,
      `Content-Disposition: ${formData(name, fileName)}`,
      `Content-Type: ${mediaType}${formatParameters(parameters)}`,
      '\r\n',
    ];
    pieces.push(Buffer.from(head.join('\r\n')), bytes, Buffer.from('\r\n'));
  }
  pieces.push(Buffer.from(`--${boundary}--\r\n`));
  return { contentType: `${FORM_TYPE}; boundary=${boundary}`, bytes: Buffer.concat(pieces) };
}
