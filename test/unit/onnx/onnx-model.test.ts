import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findBatching, stemOf } from '#dist/onnx/onnx-model.js';
import type { OnnxPort } from '#dist/onnx/onnx-signature.js';

type Shape = OnnxPort['shape'];

function port(name: string, shape: Shape): OnnxPort {
  return { name, dtype: 'float32', shape };
}

function batching(inputs: readonly Shape[], outputs: readonly Shape[]): string {
  const found = findBatching(
    inputs.map((shape, i) => port(`x${i}`, shape)),
    outputs.map((shape, i) => port(`y${i}`, shape)),
  );
  return found.kind === 'batched' ? 'batched' : `${found.kind}: ${found.reason}`;
}

describe('findBatching', () => {
  test('batches where axis 0 has one name everywhere, or none', () => {
    assert.equal(batching([['batch', 64]], [['batch', 10]]), 'batched');
    assert.equal(batching([[null, 64]], [[null, 10]]), 'batched');
    assert.equal(batching([['N', 64]], [[null, 10]]), 'batched');
    assert.equal(batching([['b'], ['b', 'seq']], [['b', 'seq', 3], ['b']]), 'batched');
    assert.equal(batching([['batch_times_beams', 4]], [['batch_times_beams']]), 'batched');
  });

  test('takes names that an exporter made up for no names', () => {
    assert.equal(batching([['unk__6', 28]], [['unk__7', 10]]), 'batched');
    assert.equal(batching([['x_dynamic_axes_1', 3]], [['y_dynamic_axes_1', 3]]), 'batched');
    assert.equal(batching([['batch', 3]], [['Gemmoutput_dim_0', 3]]), 'batched');
    assert.equal(batching([['None', 3]], [['?', 3]]), 'batched');
  });

  test('does not batch where axis 0 has a size, or there is none', () => {
    assert.equal(batching([[1, 3, 8, 8]], [[1, 10]]), 'impossible: axis 0 of its input "x0" always has 1 rows');
    assert.equal(batching([['batch', 3]], [[1]]), 'impossible: axis 0 of its output "y0" always has 1 rows');
    assert.equal(batching([['batch', 3], []], [['batch']]), 'impossible: its input "x1" is a scalar');
  });

  test('does not batch on its own where axis 0 may be something else', () => {
    assert.equal(
      batching([['batch', 3]], [['boxes', 4]]),
      'unclear: axis 0 is "batch" in its input "x0" and "boxes" in its output "y0"',
    );
    for (const axis of ['sequence', 'seq_len', 'num_tokens', 'time', 'frames', 'width'])
      assert.equal(batching([[axis, 3]], [[axis]]), `unclear: axis 0 is named "${axis}", which is no batch`);
  });
});

test('stemOf gives the name of a file without its folder and .onnx', () => {
  assert.equal(stemOf('/models/digits.onnx'), 'digits');
  assert.equal(stemOf('a/b.v2.ONNX'), 'b.v2');
});
