import { isUtf8 } from 'node:buffer';
import { isToken, parseParameters } from './header-parameters.js';

// What a part of a form is called, and what a file is called, in requests and answers.
// @see https://www.rfc-editor.org/rfc/rfc6266 and, for the names of forms, https://www.rfc-editor.org/rfc/rfc7578

export interface Disposition {
  /** In lower case: `form-data`, `attachment`. */
  readonly kind: string;
  /** Of the field of a form. */
  readonly name?: string;
  /** Without folders. */
  readonly fileName?: string;
}

/** Undefined: it is malformed. */
export function parseDisposition(text: string): Disposition | undefined {
  const semicolon = text.indexOf(';');
  const kind = (semicolon === -1 ? text : text.slice(0, semicolon)).trim().toLowerCase();
  if (!isToken(kind)) return undefined;
  const values = semicolon === -1 ? {} : parseParameters(text, semicolon, unquote);
  if (values === undefined) return undefined;
  const { name } = values;
  const fileName = withoutFolders(fromExtended(values['filename*']) ?? values['filename']);
  return { kind, ...(name !== undefined && { name }), ...(fileName !== undefined && { fileName }) };
}

/** The text of a header whose bytes Node took for Latin-1; most clients write UTF-8. */
export function asUtf8(text: string): string {
  const bytes = Buffer.from(text, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : text;
}

/**
 * Browsers, which write the name of a file as it is, write %22 for a quote; others write a backslash before it. Elsewhere a
 * backslash stands for itself: some clients send paths of Windows.
 */
function unquote(quoted: string): string {
  return quoted.replace(/\\"/g, '"').replace(/%22|%0d|%0a/gi, decodeURIComponent);
}

/** `UTF-8''na%C3%AFve.txt`; undefined: not this form, or another charset. */
function fromExtended(value: string | undefined): string | undefined {
  const match = /^utf-8'[^']*'(.*)$/i.exec(value ?? '');
  if (match === null) return undefined;
  try {
    return decodeURIComponent(match[1] as string);
  } catch {
    return undefined;
  }
}

// eslint-disable-next-line no-control-regex -- they have no place in a name
const CONTROLS = /[\u0000-\u001f\u007f]/g;

function withoutFolders(path: string | undefined): string | undefined {
  const name = path?.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1).replace(CONTROLS, '');
  return name === '' || name === '.' || name === '..' ? undefined : name;
}

/** `attachment; filename="nave.txt"; filename*=UTF-8''na%C3%AFve.txt` */
export function attachment(fileName: string): string {
  const plain = fileName.replace(/[^\u0020-\u007e]/g, '').replace(/["\\%]/g, '_');
  const isPlain = plain === fileName && plain !== '';
  const wellFormed = Buffer.from(fileName).toString(); // half a pair of surrogates can't be encoded
  const extended = encodeURIComponent(wellFormed).replace(/['()*]/g, percent);
  return `attachment; filename="${plain === '' ? 'file' : plain}"${isPlain ? '' : `; filename*=UTF-8''${extended}`}`;
}

/** `form-data; name="photo"; filename="a.png"`, as the HTML standard writes it: UTF-8, with three characters escaped. */
export function formData(name: string, fileName: string | undefined): string {
  return `form-data; name="${escapeName(name)}"${fileName === undefined ? '' : `; filename="${escapeName(fileName)}"`}`;
}

function escapeName(text: string): string {
  return text.replace(/["\r\n]/g, percent);
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}
