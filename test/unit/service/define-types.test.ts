import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defineRunner, defineService, json, tensor, tensors, type RunnersOf } from '#dist/service/index.js';
import { tensorOf, type Tensor } from '#dist/tensor/index.js';

// Compiling this file is most of the test: the types of descriptors must reach models, handlers and runner calls.

const runner = defineRunner({
  name: 'model',
  load: async () => Promise.resolve({ factor: 2 }),
  methods: {
    scale: {
      input: tensor('float32', [-1, 2]),
      output: tensor('float64', [-1, 2]),
      batch: { maxSize: 8 },
      run: (model, rows) =>
        tensorOf(
          'float64',
          rows.shape,
          Array.from(rows.data, (x) => x * model.factor),
        ),
    },
    label: {
      input: json<{ text: string }>(),
      output: json<string>(),
      batch: {},
      run: (_model, items) => items.map(({ text }) => text.toUpperCase()),
    },
    single: { input: json<string>(), output: json<number>(), run: (model, text) => text.length * model.factor },
    pair: {
      input: tensors({ a: tensor('int32', [-1]), b: tensor('int64', [-1]) }),
      output: tensor('int32', [-1]),
      batch: {},
      run: (_model, { a, b }) => (b.data.length > 0 ? a : a),
    },
  },
});

type Runners = RunnersOf<[typeof runner]>;

test('defineRunner gives each method its types, lists for batches of JSON values', () => {
  const scale: (rows: Tensor<'float32'>) => Promise<Tensor<'float64'>> = null as unknown as Runners['model']['scale'];
  const label: (item: { text: string }) => Promise<string> = null as unknown as Runners['model']['label'];
  const single: (text: string) => Promise<number> = null as unknown as Runners['model']['single'];
  assert.deepEqual([scale, label, single], [null, null, null]);
});

test('defineService gives handlers the types of inputs, outputs and runners', () => {
  const service = defineService({
    name: 'typed',
    runners: [runner],
    apis: {
      shout: {
        input: json<{ text: string }>(),
        output: json<{ loud: string }>(),
        handler: async (input, { runners }) => ({ loud: await runners.model.label(input) }),
      },
    },
  });
  const handler: unknown = service.apis['shout']?.handler;
  assert.equal(typeof handler, 'function');
});

test('the wrong types do not compile', () => {
  defineRunner({
    name: 'wrong',
    load: () => null,
    methods: {
      // @ts-expect-error a batch of JSON values gives a list
      a: { input: json<string>(), output: json<string>(), batch: {}, run: (_model, items) => items.join() },
      // @ts-expect-error the output is a number
      b: { input: json<string>(), output: json<number>(), run: (_model, text) => text },
    },
  });
});
