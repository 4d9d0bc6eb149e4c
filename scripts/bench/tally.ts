// How many runs of a model there were and how many rows they had: what the bench divides to see how full the batches were.
import { json } from 'jubako';

export interface Tally {
  runs: number;
  rows: number;
}

export const tallyOutput = json<Tally>({
  type: 'object',
  properties: { runs: { type: 'integer' }, rows: { type: 'integer' } },
  required: ['runs', 'rows'],
});

export function newTally(): Tally {
  return { runs: 0, rows: 0 };
}

export function count(tally: Tally, rows: number): void {
  tally.runs += 1;
  tally.rows += rows;
}
