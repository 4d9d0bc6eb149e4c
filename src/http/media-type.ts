import { isToken, parseParameters } from './header-parameters.js';

// Content types as clients write them: `Text/Plain; charset="utf-8"`.
// @see https://www.rfc-editor.org/rfc/rfc9110#section-8.3

export interface MediaType {
  /** In lower case, without parameters: `text/plain`. */
  readonly type: string;
  /** Names in lower case, values as they came without their quotes; of two with one name the first. */
  readonly parameters: Readonly<Record<string, string>>;
}

const NO_PARAMETERS: Readonly<Record<string, string>> = Object.freeze({});

/** Undefined: it is none. */
export function parseMediaType(text: string): MediaType | undefined {
  const semicolon = text.indexOf(';');
  const type = (semicolon === -1 ? text : text.slice(0, semicolon)).trim().toLowerCase();
  const slash = type.indexOf('/');
  if (slash === -1 || !isToken(type.slice(0, slash)) || !isToken(type.slice(slash + 1))) return undefined;
  if (semicolon === -1) return { type, parameters: NO_PARAMETERS };
  const parameters = parseParameters(text, semicolon, unescape);
  return parameters && { type, parameters };
}

function unescape(quoted: string): string {
  return quoted.replace(/\\(.)/gs, '$1');
}

/** `; charset=utf-8` for a parameter that is a token, else quoted. */
export function formatParameters(parameters: Readonly<Record<string, string>> = NO_PARAMETERS): string {
  let text = '';
  for (const [name, value] of Object.entries(parameters)) {
    text += `; ${name}=${isToken(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`}`;
  }
  return text;
}

const JSON_TYPES = new Set(['application/json', 'text/json']);

export function isJsonType(type: string): boolean {
  return JSON_TYPES.has(type) || type.endsWith('+json');
}

/** True where a charset is named that is not UTF-8. */
export function hasOtherCharset({ parameters }: MediaType): boolean {
  const charset = parameters['charset'];
  return charset !== undefined && !/^(?:utf-?8|us-ascii)$/i.test(charset);
}
