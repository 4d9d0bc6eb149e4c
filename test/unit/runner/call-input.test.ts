import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ValueSpec, MethodManifest } from '#dist/ipc/manifest.js';
import { readCallInput } from '#dist/runner/call-input.js';
import { encodeValue, tensorOf } from '#dist/tensor/index.js';
import { methodManifest } from '../../support/manifests.js';

const FLOATS = { kind: 'tensor', dtype: 'float32', shape: [-1, 2], allowNonFinite: false } as const;
const IDS = { kind: 'tensor', dtype: 'int32', shape: [-1, -1], allowNonFinite: false } as const;
const BATCH = { maxSize: 4, maxQueueSize: 8, maxLatencyMs: null };

function method(input: ValueSpec, batch: MethodManifest['batch'] = BATCH): MethodManifest {
  return methodManifest({ name: 'run', input, output: FLOATS, batch });
}

function body(value: unknown): Uint8Array {
  const { head, parts } = encodeValue(value);
  return Buffer.concat([head, ...parts]);
}

test('readCallInput counts the rows of a batched method, and one for any other', () => {
  const rows = body(tensorOf('float32', [3, 2], [1, 2, 3, 4, 5, 6]));
  assert.equal(readCallInput(method(FLOATS), rows).rows, 3);
  assert.equal(readCallInput(method(FLOATS, null), rows).rows, 1);
});

test('readCallInput tells apart what cannot be joined', () => {
  const key = (ids: number, width: number): string =>
    readCallInput(
      method({ kind: 'tensors', fields: { a: FLOATS, ids: IDS } }),
      body({
        a: tensorOf('float32', [ids, 2], new Array(ids * 2).fill(0)),
        ids: tensorOf('int32', [ids, width], new Array(ids * width).fill(0)),
      }),
    ).batchKey;
  assert.equal(key(1, 5), key(2, 5));
  assert.notEqual(key(1, 5), key(1, 6));
});

test('readCallInput leaves JSON unparsed', () => {
  const input = readCallInput(method({ kind: 'json', schema: {} }), body({ a: 1 }));
  assert.ok(input.kind === 'json');
  assert.equal(Buffer.from(input.text).toString(), '{"a":1}');
});

test('readCallInput refuses what the method does not take', () => {
  const fields = method({ kind: 'tensors', fields: { a: FLOATS, ids: IDS } });
  const cases: readonly [MethodManifest, unknown, RegExp][] = [
    [method(FLOATS), { a: 1 }, /its input must be a tensor/],
    [method({ kind: 'json', schema: {} }), tensorOf('float32', [1, 2], [1, 2]), /must be a JSON value/],
    [method(FLOATS), tensorOf('float64', [1, 2], [1, 2]), /float64 tensor of shape \[1, 2\]: wanted float32 \[-1, 2\]/],
    [method(FLOATS), tensorOf('float32', [1, 3], [1, 2, 3]), /wanted float32 \[-1, 2\]/],
    [method(FLOATS), tensorOf('float32', [0, 2], []), /on 0 rows/],
    [fields, { a: tensorOf('float32', [1, 2], [1, 2]) }, /must be a tensor "ids"/],
    [fields, 5, /must be an object of tensors/],
    [
      fields,
      { a: tensorOf('float32', [1, 2], [1, 2]), ids: tensorOf('int32', [2, 1], [1, 2]) },
      /different numbers of rows/,
    ],
  ];
  for (const [manifest, value, message] of cases) {
    assert.throws(() => readCallInput(manifest, body(value)), { code: 'INVALID_INPUT', message });
  }
  assert.throws(() => readCallInput(method(FLOATS), Uint8Array.of(99)), { code: 'LINK_PROTOCOL' });
});
