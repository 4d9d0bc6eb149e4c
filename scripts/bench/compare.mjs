import { availableParallelism } from 'node:os';
import { median, ratioOf, threeDigits } from './statistics.mjs';

/**
 * A row of the report: one metric of both sides. In `rounds` side a is Jubako, side b what it is compared with.
 * @param goals - one or several: `{ atMost }` or `{ atLeast }` of the ratio, `{ jubakoAtMost }` of Jubako's own figure; none:
 *   for information. With `why`: sentences, made from the rounds, that explain a miss.
 */
export function compare(what, unit, rounds, metric, ...goals) {
  const { a, b, ratio, lowest, highest } = ratioOf(rounds, metric);
  const targets = goals.map((goal) => ({ ...targetOf(goal, a, ratio, unit), why: goal.why }));
  return { what, unit, jubako: a, others: { 'Compared with': b }, ratio, lowest, highest, targets };
}

/**
 * A row that compares Jubako with the best of several, which is chosen in each round.
 * @param rounds - `[{ jubako, others: { name: … } }]`, more is better.
 */
export function compareWithBest(what, unit, rounds, metric, ...goals) {
  const bestOf = ({ others }) => ({ [metric]: Math.max(...Object.values(others).map((other) => other[metric])) });
  const row = compare(
    what,
    unit,
    rounds.map((round) => ({ a: round.jubako, b: bestOf(round) })),
    metric,
    ...goals,
  );
  const names = Object.keys(rounds[0].others);
  const medianOf = (name) => median(rounds.map(({ others }) => others[name][metric]));
  return { ...row, others: Object.fromEntries(names.map((name) => [name, medianOf(name)])) };
}

function targetOf(goal, jubako, ratio, unit) {
  if (goal.atMost !== undefined) return { text: `<= ${goal.atMost}x`, isMet: ratio <= goal.atMost };
  if (goal.atLeast !== undefined) return { text: `>= ${goal.atLeast}x`, isMet: ratio >= goal.atLeast };
  return { text: `<= ${goal.jubakoAtMost} ${unit}`, isMet: jubako <= goal.jubakoAtMost };
}

/**
 * A goal for requests per second in a closed loop, where both sides have `allCpuUs` and `clientCpuUs`: on full cores the
 * answers per second are the cores over the CPU that a request takes in all.
 */
export function leastPerSecond(rounds, wantedRatio) {
  const servers = ratioOf(rounds, 'allCpuUs');
  const client = ratioOf(rounds, 'clientCpuUs');
  const jubako = servers.a + client.a;
  const plain = servers.b + client.b;
  const wanted = plain / wantedRatio - client.a;
  const asked =
    wanted > 0
      ? `API workers, runner and primary together would have to take ${threeDigits(wanted)} µs instead of ${threeDigits(servers.a)} µs`
      : 'the client alone takes more than that leaves';
  const why =
    `With the client's part a request takes ${threeDigits(jubako)} µs of CPU on Jubako's side and ${threeDigits(plain)} µs on the other, so ` +
    `${availableParallelism()} full cores cannot give more than ${threeDigits(plain / jubako)}x. For ${wantedRatio}x, ${asked}.`;
  return { atLeast: wantedRatio, why };
}
