// The model of the heavy case, one function for both sides. Its cost has the form that accelerators and large networks have:
// a fixed part for each run, and a small one for each row.
// W1 The work is a number of steps and not a span of time: where processes share a core, it takes longer instead of shrinking.

import { median } from './statistics.mjs';

const FIXED_MS = 2;
const PER_ROW_MS = 0.02;
/** Steps of one millisecond, as `calibrate` found them: one number for every process of both sides. */
const VARIABLE = 'BENCH_STEPS_PER_MS';
const CALIBRATION_STEPS = 20_000_000;
/** The first two only see to it that the loop is compiled. */
const CALIBRATION_RUNS = 7;

/**
 * One run of the model.
 * @param {number} stepsPerMs
 * @param {readonly { readonly seed: number }[]} items - a row each.
 * @returns {{ value: number }[]} one per row, in the same order.
 */
export function runHeavy(stepsPerMs, items) {
  const state = spin(Math.round(stepsPerMs * heavyMs(items.length)));
  return items.map(({ seed }) => ({ value: seed ^ state }));
}

/**
 * What a run costs.
 * @param {number} rows
 */
export function heavyMs(rows) {
  return FIXED_MS + PER_ROW_MS * rows;
}

/** @returns {number} what the environment says. */
export function loadStepsPerMs() {
  const stepsPerMs = Number(process.env[VARIABLE]);
  if (!(stepsPerMs > 0)) throw new Error(`Cannot run the heavy model: ${VARIABLE} is not a number above 0`);
  return stepsPerMs;
}

/** Measures this machine, by CPU time. @returns the environment for the processes that run the model. */
export function calibrate() {
  const runs = Array.from({ length: CALIBRATION_RUNS }, () => {
    const before = process.cpuUsage();
    spin(CALIBRATION_STEPS);
    const { user, system } = process.cpuUsage(before);
    return CALIBRATION_STEPS / ((user + system) / 1000);
  });
  return { [VARIABLE]: String(Math.round(median(runs.slice(2)))) };
}

/** @param {number} steps */
function spin(steps) {
  let state = 1;
  for (let i = 0; i < steps; i += 1) state = (Math.imul(state, 1664525) + 1013904223) | 0;
  return state; // used by the caller, so that the loop cannot be left out
}
