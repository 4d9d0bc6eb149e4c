// The measured rows as text for a terminal and as the page BENCHMARKS.md.
import { cpus } from 'node:os';
import { threeDigits } from './statistics.mjs';

export function renderTable({ rows, remark }) {
  if (rows.length === 0) return remark;
  const cells = cellsOfTable(rows);
  const widths = cells[0].map((_, column) => Math.max(...cells.map((line) => line[column].length)));
  const lines = cells.map((line) =>
    line
      .map((cell, i) => cell.padEnd(widths[i]))
      .join('  ')
      .trimEnd(),
  );
  return [...lines, ...(remark === undefined ? [] : [remark])].join('\n');
}

/**
 * @param cases - as run: `{ title, about, rows, remark }`; a remark is a paragraph below the table, or undefined.
 * @param all - every case that there is: `{ name, isOnDemand }`.
 */
export function renderPage(cases, all, startedAt) {
  const sections = cases.map(({ title, about, rows, remark }) => {
    const [columns, ...lines] = cellsOfTable(rows);
    const table = [columns, columns.map(() => '---'), ...lines].map((line) => `| ${line.join(' | ')} |`).join('\n');
    const parts = [
      `## ${title}`,
      about,
      ...(rows.length === 0 ? [] : [table]),
      ...(remark === undefined ? [] : [remark]),
    ];
    return `${parts.join('\n\n')}\n`;
  });
  const skipped = all.filter(({ title }) => cases.every((one) => one.title !== title)).map(({ title }) => title);
  return `# Benchmarks

Written by \`scripts/bench/run.mjs\` on ${startedAt.toISOString().slice(0, 10)}, Node ${process.version}, ${cpus().length} cores. To repeat:

\`\`\`sh
npm run bench                  # about 11 minutes, rewrites this page
npm run bench -- --peers       # the same beside other model servers: about 16 minutes; needs Python 3.11 and a package index
npm run bench -- --only echo   # or several, comma-separated, of: ${all.map(({ name }) => name).join(', ')}; writes nothing
npm run bench -- --short       # about one and a half minutes, writes nothing
\`\`\`
${skipped.length === 0 ? '' : `\nNot measured in this run: ${skipped.join(', ')}.\n`}
How to read it:

- **The machine was shared with other work, and the load client ran on the same cores.** Absolute numbers say little here;
  the ratio says something, and CPU per request says most.
- Both sides are measured in turn, in the same minute, and the ratio is taken round by round: the column shows the median and
  between which rounds it lay. Where that range is wide, the machine was busy, and the median is a guess.
- Requests per second are those of a closed loop: when one side takes more CPU per request, the cores are full sooner. The
  client's share is in both sides and pulls the ratio towards 1.
- API-side CPU is that of the workers that speak HTTP or gRPC alone, user and system time of all their threads.

## Missed targets

${missesOf(cases)}

${sections.join('\n')}`;
}

/** Heading and rows; `others` of a row names what it is compared with. */
function cellsOfTable(rows) {
  const names = [...new Set(rows.flatMap(({ others }) => Object.keys(others)))];
  const heading = ['', 'Jubako', ...names, 'Ratio (lowest to highest round)', 'Target'];
  return [heading, ...rows.map((row) => cellsOf(row, names))];
}

function cellsOf({ what, unit, jubako, others, ratio, lowest, highest, targets }, names) {
  return [
    what,
    `${threeDigits(jubako)} ${unit}`,
    ...names.map((name) => (others[name] === undefined ? '-' : `${threeDigits(others[name])} ${unit}`)),
    `${threeDigits(ratio)}x (${threeDigits(lowest)} to ${threeDigits(highest)})`,
    targets.map(({ text, isMet }) => `${text}: ${isMet ? 'pass' : 'MISS'}`).join('; '),
  ];
}

/** What is not as fast as it was meant to be, with the reason as far as the figures give it. */
function missesOf(cases) {
  const misses = cases.flatMap(({ title, rows }) =>
    rows.flatMap(({ what, unit, jubako, ratio, targets }) =>
      targets
        .filter(({ isMet }) => !isMet)
        .map(({ text, why }) => {
          const figures = `${threeDigits(jubako)} ${unit}, ${threeDigits(ratio)}x; wanted ${text}`;
          return `- **${title}: ${what}** (${figures}). ${why ?? ''}`.trimEnd();
        }),
    ),
  );
  return misses.length === 0 ? 'Every target is met.' : misses.join('\n');
}
