// Two methods that cost next to nothing, for thread-hop.mjs.
import { defineRunner, defineService, tensor, tensorOf } from '../../dist/index.js';

const floats = tensor('float32', [-1, -1]);

const hop = defineRunner({
  name: 'hop',
  load: () => undefined,
  methods: {
    echo: { input: floats, output: floats, batch: {}, run: (_model, rows) => rows },
    /** 600 KB in, ten numbers out, as a classifier. */
    sum: {
      input: floats,
      output: floats,
      batch: {},
      run: (_model, rows) => tensorOf('float32', [rows.rows, 10], new Float32Array(rows.rows * 10).fill(rows.data[1])),
    },
  },
});

export default defineService({ name: 'hop', runners: [hop], apis: {} });
