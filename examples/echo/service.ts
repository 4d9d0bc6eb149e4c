// A service without a model: what comes in goes through a runner and comes back.
import { defineRunner, defineService, json, tensor } from 'jubako';

const echo = defineRunner({
  name: 'echo',
  load: () => ({}),
  methods: {
    json: { input: json(), output: json(), batch: { maxSize: 64 }, run: (_model, items) => items },
    rows: {
      input: tensor('float32', [-1, -1]),
      output: tensor('float32', [-1, -1]),
      batch: {},
      run: (_model, rows) => rows,
    },
  },
});

export default defineService({
  name: 'echo',
  runners: [echo],
  apis: {
    echo: {
      doc: 'Answers any JSON value with itself.',
      input: json(),
      output: json(),
      example: { hello: 'world' },
      handler: (value, { runners }) => runners.echo.json(value),
    },
    rows: {
      doc: 'Answers a matrix of float32 with itself.',
      input: tensor('float32', [-1, -1]),
      output: tensor('float32', [-1, -1]),
      example: [[1, 2, 3]],
      handler: (rows, { runners }) => runners.echo.rows(rows),
    },
  },
});
