import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { bytesOf, tensorOf, type Dtype, type NumericDtype, type Tensor } from '#dist/tensor/index.js';
import { fails, invalid, plainOf, startBento, valueOf } from './grpc-bento-harness.js';
import type { Message } from './grpc-harness.js';
import type { ApiCall } from '#dist/service/invoke.js';
import { contentOf } from '../support/api-input.js';

/** Two elements at the ends of each dtype's range: the NDArray that is given and comes back, and the same as JSON. */
const SAMPLES: Readonly<Record<Dtype, { readonly array: Message; readonly plain: readonly unknown[] }>> = {
  bool: { array: { dtype: 'DTYPE_BOOL', bool_values: [true, false] }, plain: [true, false] },
  uint8: { array: { dtype: 'DTYPE_UINT32', uint32_values: [0, 255] }, plain: [0, 255] },
  uint16: { array: { dtype: 'DTYPE_UINT32', uint32_values: [0, 65_535] }, plain: [0, 65_535] },
  uint32: { array: { dtype: 'DTYPE_UINT32', uint32_values: [0, 4_294_967_295] }, plain: [0, 4_294_967_295] },
  uint64: {
    array: { dtype: 'DTYPE_UINT64', uint64_values: ['9007199254740993', '18446744073709551615'] },
    plain: ['9007199254740993', '18446744073709551615'],
  },
  int8: { array: { dtype: 'DTYPE_INT32', int32_values: [-128, 127] }, plain: [-128, 127] },
  int16: { array: { dtype: 'DTYPE_INT32', int32_values: [-32_768, 32_767] }, plain: [-32_768, 32_767] },
  int32: {
    array: { dtype: 'DTYPE_INT32', int32_values: [-2_147_483_648, 2_147_483_647] },
    plain: [-2_147_483_648, 2_147_483_647],
  },
  int64: {
    array: { dtype: 'DTYPE_INT64', int64_values: ['-9223372036854775808', '9223372036854775807'] },
    plain: ['-9223372036854775808', '9223372036854775807'],
  },
  float16: { array: { dtype: 'DTYPE_FLOAT', float_values: [65_504, -0.5] }, plain: [65_504, -0.5] },
  bfloat16: { array: { dtype: 'DTYPE_FLOAT', float_values: [1.5, -2] }, plain: [1.5, -2] },
  float32: { array: { dtype: 'DTYPE_FLOAT', float_values: [0.5, -1.25] }, plain: [0.5, -1.25] },
  float64: { array: { dtype: 'DTYPE_DOUBLE', double_values: [0.1, -1e300] }, plain: [0.1, -1e300] },
  string: { array: { dtype: 'DTYPE_STRING', string_values: ['häuser', ''] }, plain: ['häuser', ''] },
};

describe('Call with a tensor API', () => {
  for (const [dtype, { array, plain }] of Object.entries(SAMPLES) as [Dtype, (typeof SAMPLES)[Dtype]][]) {
    test(`echoes an ndarray of ${dtype} exactly, with dtype or without, and the same as json`, async (t) => {
      const { ask, calls } = await startBento(t);
      const ndarray = { ...array, shape: [1, 2] };
      const wanted = { ndarray, content: 'ndarray' };
      assert.deepEqual(await ask(dtype, { ndarray }), wanted);
      assert.equal((inputOf(calls[0]) as Tensor).dtype, dtype);
      assert.equal(calls[0]?.input.form, 'value');
      assert.deepEqual(await ask(dtype, { ndarray: { ...ndarray, dtype: 'DTYPE_UNSPECIFIED' } }), wanted);
      assert.deepEqual(await ask(dtype, { ndarray: { ...array } }), wanted);
      assert.deepEqual(await ask(dtype, { json: valueOf([plain]) }), wanted);
      assert.equal(calls[3]?.input.form, 'json');
      if (dtype === 'string') return;
      const raw = Buffer.from(bytesOf(inputOf(calls[0]) as Tensor<NumericDtype>));
      assert.deepEqual(await ask(dtype, { serialized_bytes: raw }), wanted);
      assert.deepEqual((inputOf(calls[4]) as Tensor).data, (inputOf(calls[0]) as Tensor).data);
    });
  }

  test('casts what fits exactly: int64 to uint8, double to float32', async (t) => {
    const { ask } = await startBento(t);
    const { ndarray } = await ask('uint8', { ndarray: { int64_values: [0, 255], shape: [1, 2] } });
    assert.deepEqual((ndarray as Message)['uint32_values'], [0, 255]);
    const floats = await ask('float32', { ndarray: { dtype: 'DTYPE_DOUBLE', double_values: [0.5, 1], shape: [1, 2] } });
    assert.deepEqual((floats['ndarray'] as Message)['float_values'], [0.5, 1]);
  });

  test('refuses what does not fit, naming the field, what it gave and what was wanted', async (t) => {
    const { ask, calls } = await startBento(t);
    const array = (ndarray: Message): Promise<Message> => ask('float32', { ndarray });
    const floats = { float_values: [1, 2], shape: [1, 2] };

    await assert.rejects(array({}), invalid(/ndarray: it has neither shape nor values; wanted float32 of shape/));
    await assert.rejects(array({ ...floats, double_values: [1] }), invalid(/float_values and in double_values/));
    await assert.rejects(array({ ...floats, dtype: 'DTYPE_INT32' }), invalid(/float_values; wanted int32_values for/));
    await assert.rejects(array({ ...floats, dtype: 77 }), invalid(/its dtype is 77; wanted DTYPE_BOOL/));
    await assert.rejects(array({ string_values: ['1', '2'] }), invalid(/in string_values; wanted float_values or/));
    await assert.rejects(array({ ...floats, shape: [-1, 2] }), invalid(/shape is \[-1, 2\]; wanted sizes from 0/));
    await assert.rejects(array({ ...floats, shape: [2, 2] }), invalid(/has 2 elements; its shape \[2, 2\] wants 4/));
    await assert.rejects(array({ ...floats, shape: new Array(9).fill(2_000_000_000) }), invalid(/wants 5\.12\d*e\+83/));
    await assert.rejects(array({ ...floats, shape: new Array(1000).fill(1) }), invalid(/1000 dimensions/));
    await assert.rejects(array({ float_values: [1, 2, 3] }), invalid(/has 3 elements; wanted a multiple of 2/));
    await assert.rejects(ask('uint8', { ndarray: { int32_values: [0, 256] } }), invalid(/element 1 is 256; wanted 0/));
    await assert.rejects(ask('uint8', { ndarray: { float_values: [0, 1] } }), invalid(/in float_values; wanted int32/));
    await assert.rejects(ask('float32', { serialized_bytes: Buffer.alloc(7) }), invalid(/7 bytes; wanted a multiple/));
    await assert.rejects(ask('open', { serialized_bytes: Buffer.alloc(8) }), invalid(/cannot be told from \[-1, -1\]/));
    await assert.rejects(ask('string', { serialized_bytes: Buffer.from('a') }), invalid(/texts have no raw form/));
    await assert.rejects(ask('bool', { serialized_bytes: Buffer.from([0, 2]) }), invalid(/byte 1 is 2; wanted 0 or 1/));
    assert.equal(calls.length, 0);

    // These are the descriptor's to refuse.
    await assert.rejects(array({ ...floats, shape: [2] }), invalid(/shape \[2\]: wanted \[-1, 2\]/));
    await assert.rejects(array({ ...floats, shape: [2, 1] }), invalid(/shape \[2, 1\]: wanted \[-1, 2\]/));
    await assert.rejects(array({ float_values: [1, NaN] }), invalid(/NaN or infinity at element 1/));
    await assert.rejects(array({ double_values: [1e300, 0] }), invalid(/NaN or infinity at element 0/));
    await assert.rejects(ask('float32', { json: valueOf([[1, 'x']]) }), invalid(/\/0\/1 must be a number, got "x"/));
  });

  test('refuses every other content, naming it and what is accepted', async (t) => {
    const { ask, calls } = await startBento(t);
    const wanted = 'wanted ndarray, serialized_bytes \\(raw little-endian elements\\) or json';
    for (const [field, content] of Object.entries({
      text: { value: 'x' },
      dataframe: {},
      series: { float_values: [1] },
      file: { content: Buffer.from('x') },
      multipart: {},
    })) {
      await assert.rejects(
        ask('float32', { [field]: content }),
        invalid(new RegExp(`content for the API "float32": it is ${field}; ${wanted}`)),
      );
    }
    await assert.rejects(ask('float32', {}), invalid(new RegExp(`"float32": it is empty; ${wanted}`)));
    assert.equal(calls.length, 0);
  });
});

describe('Call with a JSON API', () => {
  test('takes and gives every kind of Value', async (t) => {
    const { ask, calls } = await startBento(t);
    const value = { list: [1, -2.5, 'ä', '', true, false, null, [], {}], 'a b': { c: 0 } };
    for (const given of [value, [], {}, 0, '', 'x', false, null]) {
      const answer = await ask('words', { json: valueOf(given) });
      assert.equal(answer['content'], 'json');
      assert.deepEqual(plainOf(answer['json'] as Message), given);
      assert.deepEqual(inputOf(calls.at(-1)), given);
      assert.equal(calls.at(-1)?.input.form, 'json');
    }
    await ask('words', { json: {} });
    assert.equal(inputOf(calls.at(-1)), null);
  });

  test('takes serialized_bytes as UTF-8 JSON, where whole numbers beyond 2^53 may be text', async (t) => {
    const { ask } = await startBento(t);
    const answer = await ask('words', { serialized_bytes: Buffer.from('{"ä":[1,"9007199254740993"]}') });
    assert.deepEqual(plainOf(answer['json'] as Message), { ä: [1, '9007199254740993'] });
    await assert.rejects(ask('words', { serialized_bytes: Buffer.from('{') }), invalid(/serialized_bytes as JSON/));
    await assert.rejects(ask('words', { serialized_bytes: Buffer.alloc(0) }), invalid(/serialized_bytes .* empty/));
    await assert.rejects(ask('words', { serialized_bytes: Buffer.from([0xff]) }), invalid(/it is not UTF-8/));
    const proto = Buffer.from('{"__proto__":{}}');
    await assert.rejects(ask('words', { serialized_bytes: proto }), invalid(/"__proto__" is not allowed/));
  });

  test('takes text as a JSON string', async (t) => {
    const { ask, calls } = await startBento(t);
    for (const value of ['hällo', '', '{"a":1}']) {
      const answer = await ask('words', { text: { value } });
      assert.equal(plainOf(answer['json'] as Message), value);
      assert.equal(calls.at(-1)?.input.form, 'json');
    }
  });

  test('refuses Values that JSON cannot hold, or that are nested too deeply', async (t) => {
    const { ask, calls } = await startBento(t);
    for (const number of [NaN, Infinity, -Infinity])
      await assert.rejects(ask('words', { json: valueOf([number]) }), invalid(/the number -?(NaN|Infinity); wanted/));
    const proto = JSON.parse('{"__proto__":{"boolValue":true}}') as Message;
    await assert.rejects(ask('words', { json: { structValue: { fields: proto } } }), invalid(/"__proto__"/));
    assert.equal(calls.length, 0);
  });

  test('refuses what does not fit the schema, and every other content', async (t) => {
    const { ask } = await startBento(t);
    await assert.rejects(ask('number', { text: { value: '1' } }), invalid(/must be number, got "1"/));
    for (const [field, content] of Object.entries({
      ndarray: { float_values: [1] },
      dataframe: {},
      series: {},
      file: {},
      multipart: {},
    })) {
      await assert.rejects(
        ask('words', { [field]: content }),
        invalid(new RegExp(`"words": it is ${field}; wanted json, text or serialized_bytes \\(UTF-8 JSON\\)`)),
      );
    }
    await assert.rejects(ask('words', {}), invalid(/"words": it is empty; wanted json/));
  });

  test('writes outputs as JSON.stringify would, and blames the service for what it cannot', async (t) => {
    const { ask, grpc } = await startBento(t);
    const give = async (name: string): Promise<unknown> =>
      plainOf((await ask('give', { text: { value: name } }))['json'] as Message);
    assert.equal(await give('nothing'), null);
    assert.deepEqual(await give('nan'), [null]);
    assert.equal(await give('surrogate'), '\ufffd');
    for (const [name, why] of [
      ['bigint', /BigInt/],
      ['deep', /more than 49 levels deep/],
    ] as const) {
      await assert.rejects(give(name), fails(status.INTERNAL, 'USER_CODE', /The code of the service failed/));
      const logged = grpc.logs.filter((line) => line['event'] === 'request.failed').at(-1);
      assert.match(String(logged?.['msg']), /Cannot write the output of the API "give" as JSON/);
      assert.match(String(logged?.['msg']), why);
    }
  });

  test('takes and gives 49 levels, as many as a protobuf decoder allows', async (t) => {
    const { ask } = await startBento(t);
    const nested = (levels: number): unknown => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`);
    const deepest = nested(49);
    const bytes = Buffer.from(JSON.stringify(deepest));
    assert.deepEqual(plainOf((await ask('words', { serialized_bytes: bytes }))['json'] as Message), deepest);
    assert.deepEqual(plainOf((await ask('words', { json: valueOf(deepest) }))['json'] as Message), deepest);
  });
});

describe('Call with an API of several tensors', () => {
  const ids = { dtype: 'DTYPE_INT64', shape: [1, 2], int64_values: ['5', '-6'] };
  const mask = { dtype: 'DTYPE_BOOL', shape: [1, 2], bool_values: [true, false] };

  test('takes a multipart of ndarrays or raw bytes, or json, and answers a multipart', async (t) => {
    const { ask, calls } = await startBento(t);
    const parts = (answer: Message): Message => (answer['multipart'] as Message)['fields'] as Message;
    const wanted = {
      ids: { ndarray: ids, representation: 'ndarray' },
      mask: { ndarray: mask, representation: 'ndarray' },
    };
    const arrays = await ask('pair', { multipart: { fields: { mask: { ndarray: mask }, ids: { ndarray: ids } } } });
    assert.equal(arrays['content'], 'multipart');
    assert.deepEqual(parts(arrays), wanted);
    assert.equal(calls[0]?.input.form, 'parts');

    const raw = Buffer.from(bytesOf(tensorOf('int64', [1, 2], [5n, -6n])));
    const fields = { ids: { serialized_bytes: raw }, mask: { serialized_bytes: Buffer.from([1, 0]) } };
    assert.deepEqual(parts(await ask('pair', { multipart: { fields } })), wanted);

    const asJson = { ids: [[5, -6]], mask: [[true, false]] };
    assert.deepEqual(parts(await ask('pair', { json: valueOf(asJson) })), wanted);
    assert.equal(calls[2]?.input.form, 'json');
  });

  test('refuses parts that are unknown, missing, empty or of another kind, and every other content', async (t) => {
    const { ask } = await startBento(t);
    const parts = (fields: Message): Promise<Message> => ask('pair', { multipart: { fields } });
    const both = { ids: { ndarray: ids }, mask: { ndarray: mask } };
    await assert.rejects(parts({ ...both, x: {} }), invalid(/multipart: it has the part "x"; wanted ids, mask/));
    await assert.rejects(parts({ ids: both.ids }), invalid(/"mask" is missing/));
    await assert.rejects(parts({}), invalid(/"ids" is missing/));
    await assert.rejects(parts({ ...both, mask: {} }), invalid(/part "mask": it is empty; wanted ndarray, serial/));
    await assert.rejects(
      parts({ ...both, mask: { text: { value: '1' } } }),
      invalid(/part "mask": it is text; wanted ndarray/),
    );
    await assert.rejects(
      parts({ ...both, ids: { ndarray: { ...ids, shape: [2, 2] } } }),
      invalid(/the part "ids": int64_values has 2 elements; its shape \[2, 2\] wants 4/),
    );
    await assert.rejects(parts({ ...both, ids: { ndarray: { ...ids, shape: [2, 1] } } }), invalid(/"ids".*\[2, 1\]/));
    for (const [field, content] of Object.entries({
      ndarray: ids,
      text: { value: '' },
      serialized_bytes: Buffer.of(1),
    }))
      await assert.rejects(
        ask('pair', { [field]: content }),
        invalid(new RegExp(`"pair": it is ${field}; wanted multipart or json`)),
      );
  });
});

function inputOf(call: ApiCall | undefined): unknown {
  assert.ok(call !== undefined);
  return contentOf(call.input);
}
