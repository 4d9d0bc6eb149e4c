import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { status, type ServiceError } from '@grpc/grpc-js';
import { JubakoError, ERROR_KINDS, type ErrorCode } from '#dist/errors.js';
import { EXTENSIONS } from '#dist/inference/model-info.js';
import type { RunnerCall } from '#dist/service/invoke.js';
import { DTYPES, Tensor, bytesOf, tensorOf, type Dtype, type NumericDtype } from '#dist/tensor/index.js';
import { otherOptions } from '../support/protocol-options.js';
import { ALL_DTYPES, startGrpc, type Message } from './grpc-harness.js';

const FLOATS = { name: 'input', datatype: 'FP32', shape: [1, 2], contents: { fp32_contents: [1, 2.5] } };

function fails(code: number, details: RegExp): (thrown: unknown) => boolean {
  return (thrown) => {
    const { code: given, details: text } = thrown as ServiceError;
    assert.equal(given, code, text);
    assert.match(text, details);
    return true;
  };
}

const invalid = (details: RegExp): ((thrown: unknown) => boolean) => fails(status.INVALID_ARGUMENT, details);

/** Typed contents of two elements at the ends of each dtype's range, as a client gives and gets them. */
const TYPED: Readonly<Record<Exclude<Dtype, 'float16' | 'bfloat16'>, Message>> = {
  bool: { bool_contents: [true, false] },
  uint8: { uint_contents: [0, 255] },
  uint16: { uint_contents: [0, 65_535] },
  uint32: { uint_contents: [0, 4_294_967_295] },
  uint64: { uint64_contents: ['9007199254740993', '18446744073709551615'] },
  int8: { int_contents: [-128, 127] },
  int16: { int_contents: [-32_768, 32_767] },
  int32: { int_contents: [-2_147_483_648, 2_147_483_647] },
  int64: { int64_contents: ['-9223372036854775808', '9223372036854775807'] },
  float32: { fp32_contents: [0.5, -1.25] },
  float64: { fp64_contents: [0.1, -1e300] },
  string: { bytes_contents: [Buffer.from('häuser'), Buffer.from('')] },
};

const RAW: Readonly<Record<NumericDtype, Tensor<NumericDtype>>> = {
  bool: tensorOf('bool', [1, 2], [1, 0]),
  uint8: tensorOf('uint8', [1, 2], [0, 255]),
  uint16: tensorOf('uint16', [1, 2], [0, 65_535]),
  uint32: tensorOf('uint32', [1, 2], [0, 4_294_967_295]),
  uint64: tensorOf('uint64', [1, 2], [0n, 2n ** 64n - 1n]),
  int8: tensorOf('int8', [1, 2], [-128, 127]),
  int16: tensorOf('int16', [1, 2], [-32_768, 32_767]),
  int32: tensorOf('int32', [1, 2], [-1, 1]),
  int64: tensorOf('int64', [1, 2], [-(2n ** 63n), 2n ** 63n - 1n]),
  float16: tensorOf('float16', [1, 2], [0x3c00, 0xbc00]),
  bfloat16: tensorOf('bfloat16', [1, 2], [0x3f80, 0xbf80]),
  float32: tensorOf('float32', [1, 2], [0.5, -1.25]),
  float64: tensorOf('float64', [1, 2], [0.1, -1e300]),
};

describe('ModelInfer', () => {
  for (const [dtype, contents] of Object.entries(TYPED) as [Dtype, Message][]) {
    test(`echoes typed ${dtype} contents exactly`, async (t) => {
      const calls: RunnerCall[] = [];
      const grpc = await startGrpc(t, {
        callRunner: (call) => {
          calls.push(call);
          return Promise.resolve(call.input);
        },
      });
      const datatype = DTYPES[dtype].oip;
      const input = { name: 'input', datatype, shape: [1, 2], contents };
      const { response } = await grpc.connect().infer({ model_name: `echo.${dtype}`, id: 'a', inputs: [input] });

      const [output] = response['outputs'] as [Message];
      assert.equal(output['name'], 'output');
      assert.equal(output['datatype'], datatype);
      assert.deepEqual(output['shape'], ['1', '2']);
      const [[field, list]] = Object.entries(contents) as [[string, unknown]];
      assert.deepEqual((output['contents'] as Message)[field], list);
      assert.deepEqual(response['raw_output_contents'], []);
      assert.equal(response['id'], 'a');
      assert.equal(response['model_version'], '7');
      const tensor = calls[0]?.input as Tensor;
      assert.ok(tensor instanceof Tensor);
      assert.equal(tensor.dtype, dtype);
      assert.deepEqual(tensor.shape, [1, 2]);
    });
  }

  for (const [dtype, tensor] of Object.entries(RAW) as [NumericDtype, Tensor<NumericDtype>][]) {
    test(`echoes raw ${dtype} contents exactly`, async (t) => {
      const grpc = await startGrpc(t);
      const bytes = Buffer.from(bytesOf(tensor));
      const input = { name: 'input', datatype: DTYPES[dtype].oip, shape: [1, 2] };
      const request = { model_name: `echo.${dtype}`, inputs: [input], raw_input_contents: [bytes] };
      const { response } = await grpc.connect().infer(request);
      assert.deepEqual(response['raw_output_contents'], [bytes]);
      assert.equal((response['outputs'] as [Message])[0]['contents'], null);
    });
  }

  test('echoes raw BYTES contents, each element after its length', async (t) => {
    const grpc = await startGrpc(t);
    const raw = Buffer.concat([Buffer.from([2, 0, 0, 0]), Buffer.from('ü'), Buffer.from([0, 0, 0, 0])]);
    const input = { name: 'input', datatype: 'BYTES', shape: [1, 2] };
    const { response } = await grpc
      .connect()
      .infer({ model_name: 'echo.string', inputs: [input], raw_input_contents: [raw] });
    assert.deepEqual(response['raw_output_contents'], [raw]);
  });

  test('takes named tensors in any order and gives the outputs that were asked for', async (t) => {
    let input: unknown;
    const grpc = await startGrpc(t, {
      callRunner: (call) => {
        input = call.input;
        return Promise.resolve(call.input);
      },
    });
    const client = grpc.connect();
    const mask = { name: 'mask', datatype: 'BOOL', shape: [1, 2], contents: { bool_contents: [true, false] } };
    const ids = { name: 'ids', datatype: 'INT64', shape: [1, 2], contents: { int64_contents: [5, 6] } };
    const all = await client.infer({ model_name: 'pair', inputs: [mask, ids] });
    assert.deepEqual(
      (all.response['outputs'] as Message[]).map((output) => output['name']),
      ['ids', 'mask'],
    );
    const record = input as Record<string, Tensor>;
    assert.deepEqual(record['ids']?.data, BigInt64Array.of(5n, 6n));
    assert.deepEqual(record['mask']?.data, Uint8Array.of(1, 0));

    const one = await client.infer({ model_name: 'pair', inputs: [ids, mask], outputs: [{ name: 'mask' }] });
    assert.deepEqual(
      (one.response['outputs'] as Message[]).map((output) => output['name']),
      ['mask'],
    );
  });

  test('calls a JSON method once per document and answers as many', async (t) => {
    const inputs: unknown[] = [];
    const grpc = await startGrpc(t, {
      callRunner: (call) => {
        inputs.push(call.input);
        return Promise.resolve({ got: call.input });
      },
    });
    const contents = { bytes_contents: [Buffer.from('{"a":1}'), Buffer.from('[2]')] };
    const input = { name: 'input', datatype: 'BYTES', shape: [2], contents };
    const { response } = await grpc.connect().infer({ model_name: 'words', inputs: [input] });
    assert.deepEqual(inputs, [{ a: 1 }, [2]]);
    const [output] = response['outputs'] as [Message];
    assert.deepEqual(output['shape'], ['2']);
    assert.deepEqual((output['contents'] as Message)['bytes_contents'], [
      Buffer.from('{"got":{"a":1}}'),
      Buffer.from('{"got":[2]}'),
    ]);
  });

  test('stops the other documents of a request when one fails', async (t) => {
    const signals: AbortSignal[] = [];
    const grpc = await startGrpc(t, {
      callRunner: (call) => {
        signals.push(call.cancellation.signal);
        return call.input === 'bad'
          ? Promise.reject(new JubakoError('INVALID_INPUT', 'no'))
          : new Promise(() => undefined);
      },
    });
    const contents = { bytes_contents: [Buffer.from('"good"'), Buffer.from('"bad"')] };
    const input = { name: 'input', datatype: 'BYTES', shape: [2], contents };
    await assert.rejects(grpc.connect().infer({ model_name: 'words', inputs: [input] }), invalid(/INVALID_INPUT: no/));
    assert.equal(signals[0]?.aborted, true);
  });

  test('answers a tensor from a JSON input of one document only', async (t) => {
    const grpc = await startGrpc(t, { callRunner: () => Promise.resolve(tensorOf('float32', [1, 2], [1, 2])) });
    const client = grpc.connect();
    const ask = (...documents: string[]): Promise<unknown> => {
      const contents = { bytes_contents: documents.map((text) => Buffer.from(text)) };
      const input = { name: 'input', datatype: 'BYTES', shape: [documents.length], contents };
      return client.infer({ model_name: 'embed', inputs: [input] });
    };
    await ask('"a"');
    await assert.rejects(ask('"a"', '"b"'), invalid(/has 2 documents; wanted 1/));
  });

  test('addresses the default method by the name of the runner, any by runner.method', async (t) => {
    const called: string[] = [];
    const grpc = await startGrpc(t, {
      callRunner: (call) => {
        called.push(`${call.runner}.${call.method}`);
        return Promise.resolve(null);
      },
    });
    const client = grpc.connect();
    const words = { name: 'input', datatype: 'BYTES', shape: [1], contents: { bytes_contents: [Buffer.from('1')] } };
    await client.infer({ model_name: 'words', model_version: '7', inputs: [words] });
    await client.infer({ model_name: 'pair.other', inputs: [words] });
    assert.deepEqual(called, ['words.count', 'pair.other']);
  });

  test('refuses inputs that do not fit, naming tensor, given and wanted', async (t) => {
    const grpc = await startGrpc(t);
    const client = grpc.connect();
    const infer = (input: Message, more: Message = {}): Promise<unknown> =>
      client.infer({ model_name: 'echo.float32', inputs: [{ ...FLOATS, ...input }], ...more });
    const raw = { contents: undefined };

    await assert.rejects(infer({ name: 'x' }), invalid(/input "x": wanted "input"/));
    await assert.rejects(infer({ datatype: 'INT8' }), invalid(/"input".*"INT8"; wanted FP32/));
    await assert.rejects(infer({ shape: [2, 3] }), invalid(/"input".*\[2, 3\]; wanted \[-1, 2\]/));
    await assert.rejects(infer({ shape: [2] }), invalid(/"input".*\[2\]; wanted \[-1, 2\]/));
    await assert.rejects(infer({ shape: [-1, 2] }), invalid(/"input".*\[-1, 2\]; wanted/));
    await assert.rejects(infer({ shape: ['4611686018427387904', 2] }), invalid(/"input".*wanted \[-1, 2\]/));
    await assert.rejects(infer({ shape: ['4294967296', 2] }), invalid(/"input".*\[4294967296, 2\]; wanted/));
    await assert.rejects(infer({ shape: new Array(1000).fill(1) }), invalid(/has 1000 dimensions; wanted 2/));
    await assert.rejects(infer({ shape: [2, 2] }), invalid(/fp32_contents has 2 elements; wanted 4/));
    await assert.rejects(
      infer({ contents: { int_contents: [1, 2] } }),
      invalid(/in int_contents; wanted fp32_contents/),
    );
    await assert.rejects(infer(raw), invalid(/fp32_contents has 0 elements; wanted 2/));
    await assert.rejects(infer(raw, { raw_input_contents: [Buffer.alloc(7)] }), invalid(/have 7 bytes; wanted 8/));
    await assert.rejects(
      infer({}, { raw_input_contents: [Buffer.alloc(8)] }),
      invalid(/"input".*typed contents beside raw/),
    );
    await assert.rejects(
      infer(raw, { raw_input_contents: [Buffer.alloc(8), Buffer.alloc(8)] }),
      invalid(/2 entries; wanted 1/),
    );
    await assert.rejects(infer({}, { outputs: [{ name: 'y' }] }), invalid(/output "y": the outputs are "output"/));
    await assert.rejects(infer({}, { inputs: [] }), invalid(/0 are given; wanted 1: "input"/));
    await assert.rejects(infer({}, { inputs: [FLOATS, FLOATS] }), invalid(/2 are given; wanted 1/));
    const parameters = { shared_memory_region: { string_param: 'x' } };
    await assert.rejects(infer({ ...raw, parameters }), invalid(/"shared_memory_region".*"input"/));
    const ids = { name: 'ids', datatype: 'INT64', shape: [1, 2], contents: { int64_contents: [5, 6] } };
    await assert.rejects(client.infer({ model_name: 'pair', inputs: [ids, ids] }), invalid(/"ids": it is given twice/));
    const half = { name: 'input', datatype: 'FP16', shape: [1, 2], contents: { fp32_contents: [1, 2] } };
    await assert.rejects(
      client.infer({ model_name: 'echo.float16', inputs: [half] }),
      invalid(/FP16 has no typed contents/),
    );
    const words = { name: 'input', datatype: 'BYTES', shape: [1], contents: { bytes_contents: [Buffer.from('{')] } };
    await assert.rejects(
      client.infer({ model_name: 'words', inputs: [words] }),
      invalid(/element 0 of the input as JSON/),
    );
  });

  test('answers NOT_FOUND with the models, or the version, that there are', async (t) => {
    const client = (await startGrpc(t)).connect();
    await assert.rejects(
      client.infer({ model_name: 'nope' }),
      fails(status.NOT_FOUND, /"nope": the models are echo\.bool, .*words/),
    );
    const version = { model_name: 'words', model_version: '8' };
    await assert.rejects(client.infer(version), fails(status.NOT_FOUND, /version "8".*the version is "7"/));
    await assert.rejects(client.call('ModelReady', { name: 'nope' }), fails(status.NOT_FOUND, /"nope"/));
    await assert.rejects(client.call('ModelMetadata', { name: 'words', version: '8' }), fails(status.NOT_FOUND, /"8"/));
  });

  test('survives a request that is no protobuf message, and blames the client', async (t) => {
    const grpc = await startGrpc(t);
    const { inference } = grpc.connect();
    const code = await new Promise((resolve) => {
      const path = '/inference.GRPCInferenceService/ModelInfer';
      const bytes = (value: Buffer): Buffer => value;
      inference.makeUnaryRequest(path, bytes, bytes, Buffer.from([0x2a, 0xff, 0xff]), (error) => {
        resolve(error?.code);
      });
    });
    assert.equal(code, status.INVALID_ARGUMENT);
    assert.equal((await grpc.record(1)).outcome, 'INVALID_INPUT');
  });
});

describe('errors', () => {
  for (const code of Object.keys(ERROR_KINDS) as ErrorCode[]) {
    test(`${code} reaches the client as its gRPC status, with code and request id in the trailers`, async (t) => {
      const grpc = await startGrpc(t, { callRunner: () => Promise.reject(new JubakoError(code, 'the inside')) });
      const request = { model_name: 'echo.float32', inputs: [FLOATS] };
      await assert.rejects(grpc.connect().infer(request, { metadata: { 'x-request-id': 'r-1' } }), (thrown) => {
        const error = thrown as ServiceError;
        const kind = ERROR_KINDS[code];
        assert.equal(error.code, status[kind.grpc]);
        assert.ok(error.details.startsWith(`${code}: `), error.details);
        assert.equal(error.details.includes('the inside'), kind.internal !== true);
        assert.deepEqual(error.metadata.get('x-error-code'), [code]);
        assert.deepEqual(error.metadata.get('x-request-id'), ['r-1']);
        return true;
      });
      const record = await grpc.record(1);
      assert.equal(record.outcome, code);
      assert.equal(record.status, status[ERROR_KINDS[code].grpc]);
      assert.equal(record.requestId, 'r-1');
      const logged = grpc.logs.filter((line) => line['event'] === 'request.failed');
      assert.equal(logged.length, ERROR_KINDS[code].internal === true ? 1 : 0);
    });
  }

  test('a message that no header can carry is cut and repaired, not fatal', async (t) => {
    const message = `\ud800${'x'.repeat(100_000)}`;
    const grpc = await startGrpc(t, { callRunner: () => Promise.reject(new JubakoError('INVALID_INPUT', message)) });
    const client = grpc.connect();
    await assert.rejects(
      client.infer({ model_name: 'echo.float32', inputs: [FLOATS] }),
      invalid(/^INVALID_INPUT: \ufffdx+…$/),
    );
    assert.deepEqual((await client.call('ServerLive')).response, { live: true });
  });
});

describe('the other RPCs', () => {
  test('ServerReady follows the readiness of the server, ModelReady that of the runner', async (t) => {
    let isReady = true;
    const ready = { ready: true } as const;
    const gone = { ready: false, reason: 'runner "pair" is not connected' } as const;
    const grpc = await startGrpc(t, {
      readiness: () => (isReady ? ready : gone),
      others: {
        models: {
          ...otherOptions().models,
          readinessOf: (runner) => Promise.resolve(isReady || runner !== 'pair' ? ready : gone),
        },
      },
    });
    const client = grpc.connect();
    const ask = async (method: string, request: Message = {}): Promise<Message> =>
      (await client.call(method, request)).response;
    assert.deepEqual(await ask('ServerLive'), { live: true });
    assert.deepEqual(await ask('ServerReady'), { ready: true });
    assert.deepEqual(await ask('ModelReady', { name: 'pair' }), { ready: true });
    isReady = false;
    assert.deepEqual(await ask('ServerLive'), { live: true });
    assert.deepEqual(await ask('ServerReady'), { ready: false });
    assert.deepEqual(await ask('ModelReady', { name: 'pair.other', version: '7' }), { ready: false });
    assert.deepEqual(await ask('ModelReady', { name: 'words' }), { ready: true });
  });

  test('ServerMetadata and ModelMetadata tell name, version and tensors', async (t) => {
    const client = (await startGrpc(t)).connect();
    const server = await client.call('ServerMetadata');
    assert.deepEqual(server.response, { name: 'sample', version: '7', extensions: EXTENSIONS });
    const { response } = await client.call('ModelMetadata', { name: 'pair' });
    const ports = [
      { name: 'ids', datatype: 'INT64', shape: ['-1', '2'] },
      { name: 'mask', datatype: 'BOOL', shape: ['-1', '2'] },
    ];
    assert.deepEqual(response, { name: 'pair', versions: ['7'], platform: 'jubako', inputs: ports, outputs: ports });
    const words = await client.call('ModelMetadata', { name: 'words.count' });
    assert.deepEqual(words.response['inputs'], [{ name: 'input', datatype: 'BYTES', shape: ['-1'] }]);
    for (const dtype of ALL_DTYPES) await client.call('ModelMetadata', { name: `echo.${dtype}` });
  });

  test('the request id comes back in the initial metadata, made up where the client gave none', async (t) => {
    const grpc = await startGrpc(t);
    const client = grpc.connect();
    const given = await client.call('ServerLive', {}, { metadata: { 'x-request-id': 'mine-1' } });
    assert.deepEqual(given.initial.get('x-request-id'), ['mine-1']);
    const made = await client.call('ServerLive');
    assert.equal(made.initial.get('x-request-id')[0], (await grpc.record(2)).requestId);
  });
});
