// Runs the batching rule against every trace of the simulation and writes BATCHING.md. Needs a build.
// Usage: node scripts/simulate/run.mjs [--check] [--short] [--trace NAME [--seed N]]
//   --check   writes nothing, fails where the page is out of date
//   --short   a third of most traces, writes nothing, prints the tables
//   --trace   one trace: what each rule made of it, and every batch of ours
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { compare } from '../../dist-test/support/simulation/compare.js';
import { PlannerPolicy } from '../../dist-test/support/simulation/planner-policy.js';
import { simulate } from '../../dist-test/support/simulation/simulate.js';
import { GROUPS, quick, traceNamed } from '../../dist-test/support/simulation/traces.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = resolve(ROOT, 'BATCHING.md');
const SEED = 1;
const WANTED_SHARE = 0.9;
/** In loops, and where runs vary, each rule meets other chances. */
const CHANCE = 0.01;

const { values } = parseArgs({
  options: {
    check: { type: 'boolean', default: false },
    short: { type: 'boolean', default: false },
    trace: { type: 'string' },
    seed: { type: 'string', default: `${SEED}` },
  },
});

if (values.trace !== undefined) showTrace(traceNamed(values.trace), Number(values.seed));
else if (values.short) process.stdout.write(`${renderGroups(true)}\n`);
else await writePage();

async function writePage() {
  const text = await format(renderPage(), { ...(await resolveConfig(resolve(ROOT, 'package.json'))), filepath: PAGE });
  if (existsSync(PAGE) && readFileSync(PAGE, 'utf8') === text) return;
  if (values.check) {
    process.stderr.write('Out of date: BATCHING.md; run node scripts/simulate/run.mjs\n');
    process.exitCode = 1;
  } else writeFileSync(PAGE, text);
}

function renderPage() {
  return `# Batching

Written by \`scripts/simulate/run.mjs\`. The planner of the server (\`src/batching/batch-planner.ts\`) decides here under an invented clock, and so do the rules it is compared with, on the same arrivals. Nothing is measured: the same trace and seed give the same numbers on every machine.

\`\`\`sh
node scripts/simulate/run.mjs                              # writes this page
node scripts/simulate/run.mjs --check                      # fails where it is out of date
node scripts/simulate/run.mjs --trace loop-32 --seed 1     # one trace: every rule, and every batch of ours
node scripts/simulate/record.mjs FILE 48:400               # records arrivals: 48 connections for 400 ms
\`\`\`

## How to read it

- **Goodput** is rows answered within the latency target of their arrival, per second; a row that is refused, given up or late counts nothing. In loops it is rows per second. All columns are percent of the bound.
- **Bound**: what no rule can exceed. *optimum*: the best of all schedules, found by going through the rows with all arrivals known beforehand. *rate bound*: every row takes at least the least time per row of any batch; for several lanes, models or shapes. *loop bound*: from the time that callers are away (Little's law), and from the best sequence of batches when it is known who comes back first; it takes no account of rows that come while a run is under way and wait for its end, so for runs shorter than the callers are away it is out of reach. How they are computed, and why nothing exceeds them, stands in \`test/support/simulation/optimum.ts\`. For the noisy traces it takes single runs at their mean, so there it is an estimate.
- **CORK**: the rule of BentoML, that of version 1.1 and that of its newer branch. **Wait 2, 5, 10 ms**: a batch leaves when it is full or its oldest call has waited that long, and calls that have waited longer than the target are dropped. **None**: no batches.
- The model is an accelerator that takes 10 ms a run and 0.1 ms a row, at most 64 rows, with a target of 50 ms, unless something else is said. Each run takes 0.1 ms more for the way to the compute thread. Calls within 0.02 ms are decided together. A timer fires no sooner than 1 ms from now.
- **Batch** is the mean rows of a run, **p50** and **p99** the latencies in ms of the calls that were answered, **refused** the percentage of calls refused when they came, and after the + given up later.
- The CPU network is onnxruntime on one thread, 1024-2048-2048-1000, as measured: 2.44 ms for 1 row, 14.6 ms for 64. The small model takes 0.05 ms and 0.005 ms a row.
- Traces of bursts and loops are counted from their first tenths of a second on: before the first burst nobody can know of bursts. What a new runner does stands under "Change, and new runners".

${renderGroups(false)}
`;
}

function renderGroups(isShort) {
  const groups = GROUPS.map(({ title, traces }) => ({
    title,
    comparisons: traces.map((trace) => compare(isShort ? quick(trace) : trace, SEED)),
  }));
  const missed = groups.flatMap(({ comparisons }) => comparisons.flatMap(missedTargets));
  const verdict =
    missed.length === 0
      ? `Every trace reaches ${100 * WANTED_SHARE} % of its bound, and no other rule does better on any (differences under ${100 * CHANCE} % are chance).`
      : `Missed targets:\n\n${missed.map((line) => `- ${line}`).join('\n')}`;
  const tables = groups.map(({ title, comparisons }) => `## ${title}\n\n${renderTable(comparisons)}`);
  return [`## Result\n\n${verdict}`, ...tables].join('\n\n');
}

function renderTable(comparisons) {
  const others = comparisons[0].others.map(({ policy }) => (policy === 'no batching' ? 'none' : policy));
  const head = ['Trace', 'Bound, rows/s', '**Jubako**', ...others, 'Batch', 'p50', 'p99', 'Refused'];
  const rows = comparisons.map((comparison) => {
    const { trace, bound, ours } = comparison;
    return [
      `**${trace.name}**: ${trace.about}`,
      `${bound.rowsPerSecond.toFixed(0)} ${bound.kind}`,
      `**${percentOf(ours, bound)}**`,
      ...comparison.others.map((other) => percentOf(other, bound)),
      ours.batchRows.toFixed(1),
      ours.p50Ms.toFixed(1),
      ours.p99Ms.toFixed(1),
      `${(100 * ours.refusedShare).toFixed(0)} + ${(100 * ours.lateShare).toFixed(0)}`,
    ];
  });
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function percentOf({ rowsPerSecond }, bound) {
  return ((100 * rowsPerSecond) / bound.rowsPerSecond).toFixed(0);
}

function missedTargets({ trace, bound, ours, others }) {
  const better = others.filter((other) => ours.rowsPerSecond < (1 - CHANCE) * other.rowsPerSecond);
  return [
    ...(ours.rowsPerSecond < WANTED_SHARE * bound.rowsPerSecond
      ? [`${trace.name}: ${percentOf(ours, bound)} % of the ${bound.kind}`]
      : []),
    ...better.map(
      (other) => `${trace.name}: ${other.policy} makes ${percentOf(other, bound)} %, ours ${percentOf(ours, bound)} %`,
    ),
  ];
}

function showTrace(trace, seed) {
  const { bound, ours, others } = compare(trace, seed);
  const write = (line) => process.stdout.write(`${line}\n`);
  write(`${trace.name}, seed ${seed}: ${trace.about}`);
  write(`${bound.kind}: ${bound.rowsPerSecond.toFixed(0)} rows/s`);
  for (const score of [ours, ...others]) {
    const facts = [
      score.policy.padEnd(12),
      `${score.rowsPerSecond.toFixed(0).padStart(7)} rows/s`,
      `${percentOf(score, bound).padStart(4)} %`,
      `batch ${score.batchRows.toFixed(1)}`,
      `p50 ${score.p50Ms.toFixed(1)} ms`,
      `p99 ${score.p99Ms.toFixed(1)} ms`,
      `refused ${(100 * score.refusedShare).toFixed(1)} %`,
      `given up ${(100 * score.lateShare).toFixed(1)} %`,
    ];
    write(facts.join('  '));
  }
  for (const { startMs, endMs, rows, reason, parts, late, method, batchKey } of simulate(
    trace,
    seed,
    new PlannerPolicy(trace),
  ).runs) {
    const waitsMs = parts.map(({ call }) => startMs - call.arrivedAtMs);
    const inTime = parts.filter(({ call }) => endMs - call.arrivedAtMs <= trace.latencyMs).length;
    const facts = [
      `${startMs.toFixed(2).padStart(9)} ms`,
      `${(endMs - startMs).toFixed(1).padStart(6)} ms`,
      `${`${rows}`.padStart(4)} rows`,
      reason.padEnd(8),
      `waited ${Math.min(...waitsMs).toFixed(1)} to ${Math.max(...waitsMs).toFixed(1)} ms`,
      `${inTime} of ${parts.length} in time`,
      ...(late.length > 0 ? [`${late.length} given up`] : []),
      ...(trace.models.length > 1 ? [`method ${method}`] : []),
      ...(batchKey === '' ? [] : [`shape ${batchKey}`]),
    ];
    write(facts.join('  '));
  }
}
