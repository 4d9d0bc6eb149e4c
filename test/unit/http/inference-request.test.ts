import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { JubakoError } from '#dist/errors.js';
import { readInferRequest } from '#dist/http/inference-request.js';
import { Body } from '#dist/http/request-body.js';
import { Models, type Model } from '#dist/inference/models.js';
import { requestedOutputs } from '#dist/inference/outputs.js';
import { priorityOf, refuseRequestParameters, timeoutMsOf } from '#dist/inference/parameters.js';
import type { Port } from '#dist/inference/ports.js';
import { readInputs } from '#dist/inference/read-inputs.js';
import { defineRunner, defineService } from '#dist/service/define.js';
import { json, tensor, tensors } from '#dist/service/index.js';
import { manifestOf } from '#dist/service/manifest-of.js';
import { DTYPES, type Dtype } from '#dist/tensor/index.js';

const run = (): never => {
  throw new Error('never runs');
};

const service = defineService({
  name: 'sample',
  runners: [
    defineRunner({
      name: 'one',
      load: () => null,
      methods: Object.fromEntries(
        (Object.keys(DTYPES) as Dtype[]).map((dtype) => [
          dtype,
          { input: tensor(dtype, [-1, 2], { name: 'a' }), output: json(), run },
        ]),
      ),
    }),
    defineRunner({ name: 'documents', load: () => null, methods: { a: { input: json(), output: json(), run } } }),
    defineRunner({
      name: 'two',
      load: () => null,
      methods: {
        a: { input: tensors({ a: tensor('int64', [-1, 2]), b: tensor('string', [-1]) }), output: json(), run },
      },
    }),
  ],
  apis: {},
});
const models = new Models(manifestOf(service), service).list;

/** Everything that is done with a body before a runner is called. */
function read(model: Model, bytes: Buffer, headers: Record<string, string>): readonly unknown[] {
  const asked = readInferRequest(model, { name: 'm', version: '' }, headers, Body.of(bytes));
  refuseRequestParameters(asked.request.parameters);
  priorityOf(asked.request.parameters);
  timeoutMsOf(asked.request.parameters);
  for (const { name } of requestedOutputs(model, asked.request.outputs)) asked.isBinary(name);
  return readInputs(model, asked.request.inputs);
}

/** Mostly as it should be, else any JSON. */
const mostly = <T>(usual: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 15, arbitrary: usual }, { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 1 }) });

const parameters = mostly(
  fc.dictionary(
    fc.constantFrom('priority', 'timeout', 'binary_data_size', 'binary_data', 'binary_data_output', 'sequence_id', 'x'),
    fc.oneof(fc.integer({ min: -2, max: 40 }), fc.boolean(), fc.string(), fc.double()),
    { maxKeys: 1 },
  ),
);

function inputOf({ name, datatype, dtype, shape }: Port): fc.Arbitrary<object> {
  const byKind = { string: fc.constant('{}'), bool: fc.boolean(), number: fc.integer({ min: 0, max: 100 }) };
  const element: fc.Arbitrary<unknown> = byKind[dtype === 'string' || dtype === 'bool' ? dtype : 'number'];
  return fc.nat(2).chain((rows) => {
    const sizes = shape.map((size) => (size === -1 ? rows : size));
    const count = sizes.reduce((product, size) => product * size, 1);
    const fields = {
      name: mostly(fc.constant(name)),
      datatype: mostly(fc.constant(datatype)),
      shape: mostly(fc.constant(sizes)),
      data: mostly(fc.array(mostly(element), { minLength: count, maxLength: count })),
      parameters,
    };
    return fc.record(fields, { requiredKeys: ['name', 'datatype', 'shape', 'data'] });
  });
}

function bodyOf({ inputs }: Model): fc.Arbitrary<unknown> {
  const fields = {
    id: mostly(fc.string()),
    inputs: mostly(fc.tuple(...inputs.list.map((port) => mostly(inputOf(port))))),
    outputs: mostly(fc.array(fc.record({ name: mostly(fc.constant('output')), parameters }), { maxLength: 1 })),
    parameters,
  };
  return mostly(fc.record(fields, { requiredKeys: ['inputs'] }));
}

const request = fc.constantFrom(...models).chain((model) => fc.tuple(fc.constant(model), bodyOf(model)));
/** How far off the header is, or a text that it has; null: it isn't there. */
const header = fc.option(fc.oneof(fc.constant(0), fc.integer({ min: -5, max: 5 }), fc.string()));

test('whatever a body says, it is read or refused as the fault of the client', () => {
  let accepted = 0;
  fc.assert(
    fc.property(request, fc.option(fc.uint8Array({ maxLength: 40 })), header, ([model, value], tail, length) => {
      const text = Buffer.from(JSON.stringify(value));
      const given = typeof length === 'number' ? String(text.byteLength + length) : length;
      const headers: Record<string, string> = given === null ? {} : { 'inference-header-content-length': given };
      try {
        read(model, tail === null ? text : Buffer.concat([text, tail]), headers);
        accepted += 1;
      } catch (thrown) {
        assert.ok(thrown instanceof JubakoError, String(thrown));
        assert.equal(thrown.code, 'INVALID_INPUT', thrown.message);
      }
    }),
    { numRuns: 3000 },
  );
  assert.ok(accepted > 10 && accepted < 2900, `${accepted} of 3000 were accepted`);
});

test('raw elements are read at the places that their sizes say', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), { maxLength: 8 }), fc.string(), (list, id) => {
      const ids = BigInt64Array.from(list.length % 2 === 0 ? list : list.slice(1));
      const words = Buffer.from([1, 0, 0, 0, 0x61]);
      const inputs = [
        { name: 'b', datatype: 'BYTES', shape: [1], parameters: { binary_data_size: 5 } },
        { name: 'a', datatype: 'INT64', shape: [ids.length / 2, 2], parameters: { binary_data_size: ids.byteLength } },
      ];
      const text = Buffer.from(JSON.stringify({ id, inputs }));
      const bytes = Buffer.concat([text, words, Buffer.from(ids.buffer)]);
      const two = models.find(({ name }) => name === 'two') as Model;
      const [value] = read(two, bytes, { 'inference-header-content-length': String(text.byteLength) });
      const { a, b } = value as Readonly<Record<'a' | 'b', { readonly data: ArrayLike<unknown> }>>;
      assert.deepEqual(Array.from(a.data), [...ids]);
      assert.deepEqual(b.data, ['a']);
    }),
  );
});

test('requests with the same JSON have elements of their own, however many such texts there are', () => {
  const model = models.find(({ inputs }) => inputs.list[0]?.dtype === 'uint8') as Model;
  const [{ name: output }] = model.outputs.list as readonly [Port];
  const numbers = Array.from({ length: 100 }, (_, number) => number);
  for (const [turn, number] of [...numbers, ...numbers.toReversed(), ...numbers].entries()) {
    const elements = [number, turn % 256];
    const text = Buffer.from(
      JSON.stringify({
        inputs: [{ name: 'a', datatype: 'UINT8', shape: [1, 2], parameters: { binary_data_size: 2 } }],
        outputs: [{ name: output, parameters: { binary_data: number % 3 === 0 } }],
        parameters: { number },
      }),
    );
    const body = Body.of(Buffer.concat([text, Buffer.from(elements)]));
    const headers = { 'inference-header-content-length': String(text.byteLength) };
    const { request, isBinary } = readInferRequest(model, { name: 'm', version: '1' }, headers, body);
    assert.deepEqual(request.parameters, { number });
    assert.equal(isBinary(output), number % 3 === 0);
    const [value] = readInputs(model, request.inputs) as [{ readonly data: Uint8Array }];
    assert.deepEqual([...value.data], elements);
  }
});
