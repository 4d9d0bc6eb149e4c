// The measured rows as text for a terminal and as the page BENCHMARKS.md.
import { cpus } from 'node:os';
import { threeDigits } from './statistics.mjs';

const COLUMNS = ['', 'Jubako', 'Compared with', 'Ratio (lowest to highest round)', 'Target'];

export function renderTable({ rows, remark }) {
  const cells = [COLUMNS, ...rows.map(cellsOf)];
  const widths = COLUMNS.map((_, column) => Math.max(...cells.map((line) => line[column].length)));
  const lines = cells.map((line) =>
    line
      .map((cell, i) => cell.padEnd(widths[i]))
      .join('  ')
      .trimEnd(),
  );
  return [...lines, ...(remark === undefined ? [] : [remark])].join('\n');
}

/** @param cases - as run: `{ name, title, about, rows, remark }`; a remark is a paragraph below the table, or undefined. */
export function renderPage(cases, startedAt) {
  const sections = cases.map((measured) => {
    const lines = [COLUMNS, COLUMNS.map(() => '---'), ...measured.rows.map(cellsOf)];
    const table = lines.map((line) => `| ${line.join(' | ')} |`).join('\n');
    const remark = measured.remark === undefined ? '' : `\n${measured.remark}\n`;
    return `## ${measured.title}\n\n${measured.about}\n\n${table}\n${remark}`;
  });
  return `# Benchmarks

Written by \`scripts/bench/run.mjs\` on ${startedAt.toISOString().slice(0, 10)}, Node ${process.version}, ${cpus().length} cores. To repeat:

\`\`\`sh
npm run bench                  # about 4 minutes, rewrites this page
npm run bench -- --only echo   # one of: ${cases.map(({ name }) => name).join(', ')}; writes nothing
npm run bench -- --short       # about half a minute, writes nothing
\`\`\`

How to read it:

- **The machine was shared with other work, and the load client ran on the same cores.** Absolute numbers say little here;
  the ratio says something, and CPU per request says most.
- Both sides are measured in turn, in the same minute, and the ratio is taken round by round: the column shows the median and
  between which rounds it lay. Where that range is wide, the machine was busy, and the median is a guess.
- Requests per second are those of a closed loop: when one side takes more CPU per request, the cores are full sooner. The
  client's share is in both sides and pulls the ratio towards 1.
- API-side CPU is that of the HTTP workers alone, user and system time of all their threads.

## Missed targets

${missesOf(cases)}

${sections.join('\n')}`;
}

function cellsOf({ what, unit, jubako, other, ratio, lowest, highest, target }) {
  const goal = target === undefined ? '' : `${target.text}: ${target.isMet ? 'pass' : 'MISS'}`;
  return [
    what,
    `${threeDigits(jubako)} ${unit}`,
    `${threeDigits(other)} ${unit}`,
    `${threeDigits(ratio)}x (${threeDigits(lowest)} to ${threeDigits(highest)})`,
    goal,
  ];
}

/** What is not as fast as it was meant to be, with the reason as far as the figures give it. */
function missesOf(cases) {
  const misses = cases.flatMap(({ title, rows }) =>
    rows
      .filter(({ target }) => target?.isMet === false)
      .map(({ what, unit, jubako, ratio, target: { text, why } }) => {
        const figures = `${threeDigits(jubako)} ${unit}, ${threeDigits(ratio)}x; wanted ${text}`;
        return `- **${title}: ${what}** (${figures}). ${why ?? ''}`.trimEnd();
      }),
  );
  return misses.length === 0 ? 'Every target is met.' : misses.join('\n');
}
