// Integers of a JSON text that a JavaScript number may not hold.

/** Up to 15 digits every integer is exact. */
const LONG_DIGITS = 16;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const PLUS = 0x2b;
const DOT = 0x2e;

/** A valid JSON text → the same with every integer of 16 digits or more as a text: `[9007199254740993]` → `["9007199254740993"]`. */
export function quoteLongIntegers(text: string): string {
  let result = '';
  let copied = 0;
  let i = 0;
  while (i < text.length) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      i = endOfString(text, i);
    } else if (code === MINUS || isDigit(code)) {
      const start = i;
      let isWhole = true;
      for (i += 1; i < text.length; i += 1) {
        const next = text.charCodeAt(i);
        if (isDigit(next)) continue;
        if (!isInNumber(next)) break;
        isWhole = false;
      }
      if (isWhole && i - start >= LONG_DIGITS) {
        result += `${text.slice(copied, start)}"${text.slice(start, i)}"`;
        copied = i;
      }
    } else {
      i += 1;
    }
  }
  return copied === 0 ? text : result + text.slice(copied);
}

/** The position after the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === BACKSLASH) i += 1;
    else if (code === QUOTE) return i + 1;
  }
  return text.length;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function isInNumber(code: number): boolean {
  return code === DOT || code === PLUS || code === MINUS || code === 0x65 || code === 0x45;
}
