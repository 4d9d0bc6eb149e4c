// A service whose model costs 2 ms a run and 0.02 ms a row (heavy-work.mjs): it pays to run many rows at once.
import { defineRunner, defineService, json } from 'jubako';
import { loadStepsPerMs, runHeavy } from './heavy-work.mjs';

interface Question {
  readonly seed: number;
}

interface Answer {
  readonly value: number;
}

const question = json<Question>({
  type: 'object',
  properties: { seed: { type: 'integer' } },
  required: ['seed'],
  additionalProperties: false,
});
const answer = json<Answer>({ type: 'object', properties: { value: { type: 'integer' } }, required: ['value'] });

const heavy = defineRunner({
  name: 'heavy',
  load: loadStepsPerMs,
  methods: {
    predict: { input: question, output: answer, batch: { maxSize: 64 }, run: runHeavy },
  },
});

export default defineService({
  name: 'heavy',
  runners: [heavy],
  apis: {
    predict: {
      doc: 'A number that takes its time.',
      input: question,
      output: answer,
      example: { seed: 7 },
      handler: (input, { runners }) => runners.heavy.predict(input),
    },
  },
});
