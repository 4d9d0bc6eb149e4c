// What follows the value of many headers: `; name=token; name="quoted"`. Scanned by hand: a regular expression with optional
// blanks on both sides takes quadratic time on headers made for it.

/** Names in lower case, of two with one name the first; undefined: it is malformed. */
export function parseParameters(
  text: string,
  from: number,
  unquote: (quoted: string) => string,
): Readonly<Record<string, string>> | undefined {
  const parameters: Record<string, string> = {};
  let at = skipBlanks(text, from);
  while (at < text.length) {
    if (text[at] !== ';') return undefined;
    at = skipBlanks(text, at + 1);
    if (at === text.length || text[at] === ';') continue; // a lone semicolon
    const equals = text.indexOf('=', at);
    const name = text.slice(at, equals === -1 ? undefined : equals).trimEnd();
    if (equals === -1 || !isToken(name)) return undefined;
    const start = skipBlanks(text, equals + 1);
    const isQuoted = text[start] === '"';
    const end = isQuoted ? endOfQuotes(text, start) : endOfPlain(text, start);
    if (end === -1) return undefined;
    const value = isQuoted ? unquote(text.slice(start + 1, end - 1)) : text.slice(start, end).trimEnd();
    const key = name.toLowerCase();
    if (!Object.hasOwn(parameters, key)) parameters[key] = value;
    at = skipBlanks(text, end);
  }
  return parameters;
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (text[at] === ' ' || text[at] === '\t') at += 1;
  return at;
}

/** Behind the quote that closes; -1: none does. */
function endOfQuotes(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at + 1;
  }
  return -1;
}

function endOfPlain(text: string, start: number): number {
  const end = text.indexOf(';', start);
  return end === -1 ? text.length : end;
}
