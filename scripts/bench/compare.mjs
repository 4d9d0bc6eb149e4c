import { ratioOf } from './statistics.mjs';

/**
 * A row of the report: one metric of both sides. In `rounds` side a is Jubako, side b what it is compared with.
 * @param goal - `{ atMost }` or `{ atLeast }` of the ratio, `{ jubakoAtMost }` of Jubako's own figure; none: for information.
 *   With `why`: sentences, made from the rounds, that explain a miss.
 */
export function compare(what, unit, rounds, metric, goal) {
  const { a, b, ratio, lowest, highest } = ratioOf(rounds, metric);
  const target = goal === undefined ? undefined : { ...targetOf(goal, a, ratio, unit), why: goal.why };
  return { what, unit, jubako: a, other: b, ratio, lowest, highest, target };
}

function targetOf(goal, jubako, ratio, unit) {
  if (goal.atMost !== undefined) return { text: `<= ${goal.atMost}x`, isMet: ratio <= goal.atMost };
  if (goal.atLeast !== undefined) return { text: `>= ${goal.atLeast}x`, isMet: ratio >= goal.atLeast };
  return { text: `<= ${goal.jubakoAtMost} ${unit}`, isMet: jubako <= goal.jubakoAtMost };
}
