// What the fuzzers are let loose on: an API of every kind, limits, streams without end, and models of every dtype.
// Plain JavaScript, so that the service of the tests and this one share one copy of jubako.
import { setTimeout as delay } from 'node:timers/promises';
import { bytes, defineRunner, defineService, file, image, json, stream, table, tensor, tensors, text } from 'jubako';
import { service as kinds } from '../../dist-test/support/kinds-service.js';

const DTYPES = [
  ...['bool', 'uint8', 'uint16', 'uint32', 'uint64', 'int8', 'int16', 'int32', 'int64'],
  ...['float16', 'bfloat16', 'float32', 'float64', 'string'],
];

const echo = defineRunner({
  name: 'echo',
  load: () => null,
  methods: Object.fromEntries(
    DTYPES.map((dtype) => [
      dtype,
      {
        input: tensor(dtype, [-1, -1], { allowNonFinite: true }),
        output: tensor(dtype, [-1, -1], { allowNonFinite: true }),
        batch: { maxSize: 8 },
        run: (_model, input) => input,
      },
    ]),
  ),
});

const pair = tensors({ ids: tensor('int64', [-1, 2]), mask: tensor('bool', [-1, 2]) });
const rows = tensor('float32', [-1, 4]);

const model = defineRunner({
  name: 'model',
  load: () => null,
  methods: {
    pair: { input: pair, output: pair, run: (_model, input) => input },
    rows: { input: rows, output: rows, batch: { maxSize: 16 }, run: (_model, input) => input },
    /** Documents under a schema. */
    words: {
      input: json({ type: 'object', required: ['text'], properties: { text: { type: 'string', maxLength: 64 } } }),
      output: json(),
      batch: { maxSize: 8 },
      run: (_model, documents) => documents.map(({ text: words }) => words.split(' ').length),
    },
    /** 1, 2, … up to the number that is asked for. */
    count: {
      input: json({ type: 'integer', maximum: 20 }),
      output: stream(json()),
      async *run(_model, last) {
        for (let number = 1; number <= last; number += 1) yield await Promise.resolve(number);
      },
    },
  },
});

const PROFILE = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  required: ['id', 'kind', 'scores'],
  properties: {
    id: { type: 'string', pattern: '^[a-z]{1,8}$' },
    kind: { enum: ['a', 'b', null, 7] },
    scores: { type: 'array', items: { type: 'number', minimum: -1, maximum: 1 }, minItems: 1, maxItems: 5 },
    nested: {
      anyOf: [
        { type: 'integer', multipleOf: 3 },
        { type: 'object', additionalProperties: { type: 'boolean' } },
      ],
    },
    point: { type: 'array', prefixItems: [{ type: 'integer' }, { type: 'string' }], items: false },
  },
  additionalProperties: false,
};

const same = (value) => value;
const CHUNK = new Uint8Array(64 * 1024);

export default defineService({
  name: 'fuzz',
  version: '1',
  runners: [echo, model],
  apis: {
    ...kinds.apis,
    profile: { input: json(PROFILE), output: json(PROFILE), handler: same },
    scalar: { input: tensor('float64', []), output: tensor('float64', []), handler: same },
    halves: { input: tensor('bfloat16', [-1, 3]), output: tensor('bfloat16', [-1, 3]), handler: same },
    flags: { input: tensor('bool', [2, -1]), output: tensor('bool', [2, -1]), handler: same },
    /** Over the link, in batches. */
    batched: { input: rows, output: rows, handler: (input, { runners }) => runners.model.rows(input) },
    linked: { input: pair, output: pair, handler: (input, { runners }) => runners.model.pair(input) },
    counted: {
      input: json({ type: 'integer', maximum: 20 }),
      output: stream(json()),
      handler: (last, { runners }) => runners.model.count(last),
    },
    small: { input: bytes({ maxBytes: 64 }), output: bytes({ maxBytes: 64 }), handler: same },
    thumbnail: {
      input: image({ maxPixels: 4096 }),
      output: json(),
      handler: ({ shape }) => shape,
    },
    attachment: { input: file({ mediaTypes: ['text/*'], maxBytes: 256 }), output: file(), handler: same },
    short: { input: table({ columns: { a: 'int32', b: 'string' }, maxRows: 4 }), output: table(), handler: same },
    /** More than anybody reads. */
    flood: {
      input: json(),
      output: stream(bytes()),
      async *handler() {
        for (;;) {
          yield CHUNK;
          await Promise.resolve();
        }
      },
    },
    /** A line and then nothing, until its client goes. */
    quiet: {
      input: json(),
      output: stream(text()),
      async *handler(_input, { signal }) {
        yield 'first';
        await delay(3_600_000, undefined, { signal }).catch(() => undefined);
      },
    },
  },
});
