import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeSlices, joinBatch, sliceResult, type Slice } from '#dist/runner/assemble-batch.js';
import { batchBuffers } from '#dist/compute/batch-buffers.js';
import type { CallInput } from '#dist/runner/call-input.js';
import { buffersOf, type ThreadPayload, type ThreadResult, type WireTensor } from '#dist/compute/thread-messages.js';
import { decodeValue, Tensor, tensorOf, type Dtype, type EncodedValue, type NumericDtype } from '#dist/tensor/index.js';

const NUMERIC: readonly NumericDtype[] = ['bool', 'uint8', 'int16', 'int32', 'int64', 'float16', 'float32', 'float64'];

function tensorInput(...tensors: readonly (readonly [name: string, tensor: Tensor])[]): CallInput {
  const rows = tensors[0]?.[1].rows ?? 0;
  return { kind: 'tensors', rows, batchKey: '', tensors: tensors.map(([name, tensor]) => ({ name, tensor })) };
}

function textInput(value: unknown): CallInput {
  return { kind: 'json', rows: 1, batchKey: '', text: Buffer.from(JSON.stringify(value)) };
}

function whole(input: CallInput): Slice {
  return { input, from: 0, rows: input.rows };
}

/** As the compute thread gets it, and as the sender is left. */
function transfer(payload: ThreadPayload): ThreadPayload {
  return structuredClone(payload, { transfer: buffersOf(payload) });
}

function bytesOfValue(value: EncodedValue): Uint8Array {
  return Buffer.concat([value.head, ...value.parts]);
}

function wire(dtype: Dtype, shape: readonly number[], data: WireTensor['data'], name = ''): WireTensor {
  return { name, dtype, shape, data };
}

/** `elements` numbers from `start` on, as this dtype has them. */
function counted(dtype: NumericDtype, start: number, shape: readonly number[]): Tensor {
  const length = shape.reduce((product, size) => product * size, 1);
  const numbers = Array.from({ length }, (_, i) => (dtype === 'bool' ? (start + i) % 2 : (start + i) % 100));
  return dtype === 'int64' ? tensorOf(dtype, shape, numbers.map(BigInt)) : tensorOf(dtype, shape, numbers);
}

const calls = fc.record({
  dtype: fc.constantFrom(...NUMERIC),
  width: fc.integer({ min: 0, max: 5 }),
  rows: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 8 }),
  maxSize: fc.integer({ min: 1, max: 7 }),
});

test('joinBatch and sliceResult give every call its own rows back, however they were cut', () => {
  fc.assert(
    fc.property(calls, ({ dtype, width, rows, maxSize }) => {
      const inputs = rows.map((count, i) => counted(dtype, i * 31, [count, width]));
      const slices = inputs.flatMap((tensor, call) => {
        const cuts: (Slice & { readonly call: number })[] = [];
        for (let from = 0; from < tensor.rows; from += maxSize) {
          cuts.push({ call, input: tensorInput(['', tensor]), from, rows: Math.min(maxSize, tensor.rows - from) });
        }
        return cuts;
      });
      const result: ThreadResult = transfer(joinBatch(slices, true)) as ThreadResult & { kind: 'tensors' };
      let from = 0;
      const results = slices.map((slice) => {
        const part = sliceResult(result, from, slice.rows, true);
        from += slice.rows;
        return { call: slice.call, part };
      });
      inputs.forEach((tensor, call) => {
        const own = results.filter((each) => each.call === call).map(({ part }) => part);
        const answer = decodeValue(bytesOfValue(encodeSlices(own))) as Tensor;
        assert.deepEqual(answer.shape, tensor.shape);
        assert.deepEqual([...answer.data], [...tensor.data]);
      });
    }),
    { numRuns: 300 },
  );
});

test('joinBatch gives the same payload again after a run has taken it, and leaves the inputs alone', () => {
  const input = tensorInput(['', counted('float32', 0, [4, 2000])]);
  const slices = [
    { input, from: 0, rows: 3 },
    { input, from: 3, rows: 1 },
  ];
  const first = transfer(joinBatch(slices, true));
  const again = transfer(joinBatch(slices, true));
  assert.deepEqual(again, first);
  const halves = slices.map((slice) => transfer(joinBatch([slice], true)));
  assert.deepEqual(
    halves.flatMap((half) => (half.kind === 'tensors' ? [...(half.tensors[0]?.data as Float32Array)] : [])),
    [...Float32Array.from({ length: 8000 }, (_, i) => i % 100)],
  );
  const text = whole(textInput({ a: 1 }));
  assert.deepEqual(transfer(joinBatch([text], false)), transfer(joinBatch([text], false)));
});

test('joinBatch fills a buffer that another batch has left', () => {
  const slice = whole(tensorInput(['', counted('float32', 1, [2, 1000])]));
  const left = new Float32Array(2000).fill(NaN);
  batchBuffers.giveBack(left.buffer);
  const payload = joinBatch([slice], true);
  assert.ok(payload.kind === 'tensors');
  const data = payload.tensors[0]?.data as Float32Array;
  assert.equal(data.buffer, left.buffer);
  assert.deepEqual([...data.subarray(0, 3), data.at(-1)], [1, 2, 3, 0]);
  assert.ok(!data.includes(NaN));
});

test('joinBatch refuses slices whose elements do not add up', () => {
  const narrow = tensorInput(['', counted('float32', 0, [1, 2])]);
  const wide = tensorInput(['', counted('float32', 0, [1, 3])]);
  assert.throws(() => joinBatch([whole(wide), whole(narrow)], true), /Cannot join a batch of 6 elements from 5/);
  assert.throws(() => joinBatch([whole(narrow), whole(wide)], true), RangeError);
  assert.throws(() => joinBatch([whole(narrow), whole(textInput(1))], true), /different kinds/);
  assert.throws(() => joinBatch([], true), /empty batch/);
});

test('joinBatch joins several named tensors and texts', () => {
  const first = tensorInput(
    ['ids', tensorOf('int32', [1, 2], [1, 2])],
    ['words', new Tensor('string', [1, 1], ['one'])],
  );
  const second = tensorInput(
    ['ids', tensorOf('int32', [2, 2], [3, 4, 5, 6])],
    ['words', new Tensor('string', [2, 1], ['two', 'three'])],
  );
  const payload = joinBatch([whole(first), { input: second, from: 1, rows: 1 }], true);
  assert.ok(payload.kind === 'tensors');
  assert.deepEqual(payload.tensors, [
    { name: 'ids', dtype: 'int32', shape: [2, 2], data: Int32Array.of(1, 2, 5, 6) },
    { name: 'words', dtype: 'string', shape: [2, 1], data: ['one', 'three'] },
  ]);
});

test('joinBatch makes a list of JSON values, and passes a lone one on', () => {
  const list = joinBatch([whole(textInput({ a: 'ß' })), whole(textInput(2))], true);
  assert.ok(list.kind === 'json');
  assert.deepEqual(JSON.parse(Buffer.from(list.text).toString()), [{ a: 'ß' }, 2]);
  const lone = joinBatch([whole(textInput([1]))], false);
  assert.ok(lone.kind === 'json');
  assert.equal(Buffer.from(lone.text).toString(), '[1]');
  assert.equal(lone.text.byteLength, lone.text.buffer.byteLength, 'it has a buffer of its own');
});

test('joinBatch passes a tensor without a batch axis on as it is', () => {
  const scalar = joinBatch([whole(tensorInput(['', tensorOf('float64', [], [7])]))], false);
  assert.deepEqual(scalar, { kind: 'tensors', tensors: [wire('float64', [], Float64Array.of(7))] });
});

test('sliceResult copies no numbers', () => {
  const data = Float32Array.of(1, 2, 3, 4, 5, 6);
  const slice = sliceResult({ kind: 'tensors', tensors: [wire('float32', [3, 2], data)] }, 1, 2, true);
  assert.ok(slice.kind === 'tensors');
  const tensor = slice.tensors[0]?.tensor as Tensor<'float32'>;
  assert.equal(tensor.data.buffer, data.buffer);
  assert.deepEqual([...tensor.data], [3, 4, 5, 6]);
});

test('sliceResult cuts JSON values out of one text', () => {
  const text = Buffer.from('1"ß"[3]');
  const result: ThreadResult = { kind: 'json', text, ends: [1, 5, 8] };
  const parts = [0, 1, 2].map((row) => decodeValue(bytesOfValue(encodeSlices([sliceResult(result, row, 1, true)]))));
  assert.deepEqual(parts, [1, 'ß', [3]]);
});

test('encodeSlices refuses to join parts that a model gave different shapes', () => {
  const parts = [
    sliceResult({ kind: 'tensors', tensors: [wire('float32', [1, 2], new Float32Array(2))] }, 0, 1, true),
    sliceResult({ kind: 'tensors', tensors: [wire('float32', [1, 3], new Float32Array(3))] }, 0, 1, true),
  ];
  assert.throws(() => encodeSlices(parts), { code: 'USER_CODE' });
});
