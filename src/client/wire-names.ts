// Names on the wire that the HTTP room has as well.

export const JSON_TYPE = 'application/json';
/** Of raw tensors too, whose dtype and shape stand beside them. */
export const BYTES_TYPE = 'application/octet-stream';
export const DTYPE_HEADER = 'tensor-dtype';
export const SHAPE_HEADER = 'tensor-shape';

/** `attachment; filename*=UTF-8''na%C3%AFve.txt`: headers are ASCII. https://www.rfc-editor.org/rfc/rfc8187 */
export function attachment(fileName: string): string {
  const encoded = encodeURIComponent(fileName).replace(/['()*]/g, (character) => {
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  });
  return `attachment; filename*=UTF-8''${encoded}`;
}
