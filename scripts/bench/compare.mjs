import { ratioOf } from './statistics.mjs';

/**
 * A row of the report: one metric of both sides. In `rounds` side a is Jubako, side b what it is compared with.
 * @param goal - `{ atMost }` or `{ atLeast }` of the ratio, `{ jubakoAtMost }` of Jubako's own figure; none: for information.
 */
export function compare(what, unit, rounds, metric, goal) {
  const { a, b, ratio, lowest, highest } = ratioOf(rounds, metric);
  return { what, unit, jubako: a, other: b, ratio, lowest, highest, target: targetOf(goal, a, ratio, unit) };
}

function targetOf(goal, jubako, ratio, unit) {
  if (goal === undefined) return undefined;
  if (goal.atMost !== undefined) return { text: `<= ${goal.atMost}x`, isMet: ratio <= goal.atMost };
  if (goal.atLeast !== undefined) return { text: `>= ${goal.atLeast}x`, isMet: ratio >= goal.atLeast };
  return { text: `<= ${goal.jubakoAtMost} ${unit}`, isMet: jubako <= goal.jubakoAtMost };
}
