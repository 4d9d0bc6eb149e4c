// Models and APIs that do next to nothing, so that what the protocols cost shows.
import { defineRunner, defineService, json, stream, tensor, tensorOf, type Tensor } from 'jubako';

const COLUMNS = 784;
const CLASSES = 10;
const MAX_SIZE = 64;

const rows = tensor('float32', [-1, COLUMNS]);
const scores = tensor('float32', [-1, CLASSES]);

/** The first numbers of each row. */
function classify(_model: object, batch: Tensor<'float32'>): Tensor<'float32'> {
  const firsts = new Float32Array(batch.rows * CLASSES);
  for (let row = 0; row < batch.rows; row += 1) {
    firsts.set(batch.data.subarray(row * COLUMNS, row * COLUMNS + CLASSES), row * CLASSES);
  }
  return tensorOf('float32', [batch.rows, CLASSES], firsts);
}

const classifier = defineRunner({
  name: 'classifier',
  load: () => ({}),
  methods: { classify: { input: rows, output: scores, batch: { maxSize: MAX_SIZE }, run: classify } },
});

function echoRunner<Name extends string>(name: Name, placement: 'process' | 'embedded') {
  return defineRunner({
    name,
    placement,
    load: () => ({}),
    methods: {
      echo: {
        input: rows,
        output: rows,
        batch: { maxSize: MAX_SIZE },
        run: (_model: object, batch: Tensor<'float32'>) => batch,
      },
    },
  });
}

interface Token {
  readonly index: number;
  readonly text: string;
}

async function* tokens(count: number): AsyncGenerator<Token> {
  for (let index = 0; index < count; index += 1) yield { index, text: `token ${index}` };
}

const token = json<Token>({
  type: 'object',
  properties: { index: { type: 'integer' }, text: { type: 'string' } },
  required: ['index', 'text'],
  additionalProperties: false,
});

export default defineService({
  name: 'protocols',
  runners: [classifier, echoRunner('far', 'process'), echoRunner('near', 'embedded')],
  apis: {
    echo: { input: json(), output: json(), handler: (value) => value },
    classify: { input: rows, output: scores, handler: (batch, { runners }) => runners.classifier.classify(batch) },
    tokens: { input: json<number>({ type: 'integer' }), output: stream(token), handler: tokens },
  },
});
