/** What has nothing to say in a table. */
export const NOTHING = '–';

/** A Markdown table. */
export function table(head, rows) {
  const lines = [head, head.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n');
}

/** In the order in which they first appear. */
export function unique(list) {
  return [...new Set(list)];
}
