/** The text as well-formed Unicode, cut with "…" where it has more than `maxBytes` in UTF-8. */
export function shorten(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= maxBytes) return bytes.toString('utf8');
  let end = maxBytes;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1; // not inside a character
  return `${bytes.toString('utf8', 0, end)}…`;
}
