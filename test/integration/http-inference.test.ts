import assert from 'node:assert/strict';
import { request } from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import type { RunnerCall } from '#dist/service/invoke.js';
import { Tensor, tensorOf } from '#dist/tensor/index.js';
import { send } from '../support/http-client.js';
import { binaryRequest, postInfer, type HttpAnswer } from './inference-calls.js';
import { ECHO, startInference, type InferenceOptions } from './inference-harness.js';

const ROW = tensorOf('float32', [1, 2], [1, 2.5]);
const INPUT = { name: 'input', shape: [1, 2], datatype: 'FP32', data: [1, 2.5] };
const OUTPUT = { name: 'output', datatype: 'FP32', shape: [1, 2] };

/** Sends to `echo.float32` unless it says otherwise. */
async function start(
  t: TestContext,
  options: InferenceOptions = {},
): Promise<(body: unknown, path?: string, headers?: Readonly<Record<string, string>>) => Promise<HttpAnswer>> {
  const { http } = await startInference(t, options);
  return (body, path = 'echo.float32/infer', headers = {}) => {
    const sent = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
    return postInfer({ url: http.url(`/v2/models/${path}`), body: sent, headers });
  };
}

describe('infer with JSON', () => {
  test('echoes id, name and version, and gives flat data', async (t) => {
    const infer = await start(t);
    const answer = await infer({ id: 'a-1', inputs: [INPUT] }, 'echo.float32/versions/7/infer');
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'application/json');
    assert.deepEqual(answer.json, {
      id: 'a-1',
      model_name: 'echo.float32',
      model_version: '7',
      outputs: [{ ...OUTPUT, data: [1, 2.5] }],
    });
    const nested = await infer({ inputs: [{ ...INPUT, data: [[1, 2.5]] }] });
    assert.deepEqual(nested.json, {
      model_name: 'echo.float32',
      model_version: '7',
      outputs: [{ ...OUTPUT, data: [1, 2.5] }],
    });
  });

  test('takes the body whatever its content type is', async (t) => {
    const { http } = await startInference(t);
    const body = JSON.stringify({ inputs: [INPUT] });
    for (const type of [
      'text/plain',
      'application/octet-stream',
      'image/png',
      'application/x-www-form-urlencoded',
      'nonsense',
    ]) {
      const answer = await send(http.url('/v2/models/echo.float32/infer'), body, { headers: { 'content-type': type } });
      assert.equal(answer.status, 200, `${type}: ${answer.text}`);
    }
  });

  test('keeps every digit of INT64 and UINT64, both ways', async (t) => {
    const { http } = await startInference(t);
    const ask = async (datatype: string, model: string, data: string): Promise<string> => {
      const body = `{"inputs":[{"name":"input","shape":[1,2],"datatype":"${datatype}","data":${data}}]}`;
      return (await send(http.url(`/v2/models/${model}/infer`), body)).text;
    };
    const signed = '[9007199254740993,-9223372036854775808]';
    assert.ok((await ask('INT64', 'echo.int64', signed)).includes(`"data":${signed}`));
    assert.ok((await ask('INT64', 'echo.int64', `[${signed}]`)).includes(`"data":${signed}`));
    const unsigned = '[18446744073709551615,0]';
    assert.ok((await ask('UINT64', 'echo.uint64', unsigned)).includes(`"data":${unsigned}`));
  });

  test('runs a call per document of a JSON model, and answers texts', async (t) => {
    const inputs: unknown[] = [];
    const infer = await start(t, {
      invoker: {
        callRunner: ({ input }) => {
          inputs.push(input);
          return Promise.resolve({ got: input });
        },
      },
    });
    const input = { name: 'input', shape: [2], datatype: 'BYTES', data: ['{"a":1}', '[2]'] };
    const answer = await infer({ inputs: [input] }, 'words/infer');
    assert.deepEqual(inputs, [{ a: 1 }, [2]]);
    assert.deepEqual(answer.json['outputs'], [
      { name: 'output', datatype: 'BYTES', shape: [2], data: ['{"got":{"a":1}}', '{"got":[2]}'] },
    ]);
  });

  test('gives the outputs that are asked for, in that order; all where none is named', async (t) => {
    const infer = await start(t);
    const inputs = [
      { name: 'mask', shape: [1, 2], datatype: 'BOOL', data: [true, false] },
      { name: 'ids', shape: [1, 2], datatype: 'INT64', data: [1, 2] },
    ];
    const namesOf = ({ json }: HttpAnswer): unknown => (json['outputs'] as { name: string }[]).map(({ name }) => name);
    assert.deepEqual(namesOf(await infer({ inputs }, 'pair/infer')), ['ids', 'mask']);
    assert.deepEqual(namesOf(await infer({ inputs, outputs: [] }, 'pair/infer')), ['ids', 'mask']);
    assert.deepEqual(namesOf(await infer({ inputs, outputs: [{ name: 'mask' }] }, 'pair/infer')), ['mask']);
    const both = [{ name: 'mask' }, { name: 'ids' }];
    assert.deepEqual(namesOf(await infer({ inputs, outputs: both }, 'pair/infer')), ['mask', 'ids']);
  });

  test('hands priority and timeout on to the call; the deadline ends it', async (t) => {
    const calls: RunnerCall[] = [];
    const infer = await start(t, {
      invoker: {
        callRunner: (call) => {
          calls.push(call);
          return ECHO(call);
        },
      },
    });
    const before = performance.now();
    await infer({ inputs: [INPUT], parameters: { priority: 1, timeout: 60_000_000, mine: 'x', nothing: null } });
    assert.equal(calls[0]?.priority, 'high');
    const leftMs = Number(calls[0]?.deadlineAtMs) - before;
    assert.ok(leftMs >= 60_000 && leftMs < 120_000, String(leftMs));
    await infer({ inputs: [INPUT] });
    assert.deepEqual([calls[1]?.priority, calls[1]?.deadlineAtMs], ['normal', undefined]);
  });
});

describe('infer with binary data', () => {
  test('takes raw inputs, and gives raw outputs where they are asked for', async (t) => {
    const infer = await start(t);
    const raw = Buffer.from(ROW.data.buffer);
    const ask = (rest: object): Promise<HttpAnswer> => {
      const { body, headers } = binaryRequest({ input: ROW }, rest);
      return infer(body, undefined, headers);
    };
    const asJson = await ask({});
    assert.deepEqual(asJson.json['outputs'], [{ ...OUTPUT, data: [1, 2.5] }]);
    assert.equal(asJson.headers.get('inference-header-content-length'), null);

    const wanted = [{ ...OUTPUT, parameters: { binary_data_size: 8 } }];
    const all = await ask({ parameters: { binary_data_output: true } });
    assert.deepEqual(all.json['outputs'], wanted);
    assert.deepEqual(all.binary, raw);
    assert.equal(all.headers.get('content-type'), 'application/octet-stream');
    const one = await ask({ outputs: [{ name: 'output', parameters: { binary_data: true } }] });
    assert.deepEqual([one.json['outputs'], one.binary], [wanted, raw]);
    const but = await ask({
      parameters: { binary_data_output: true },
      outputs: [{ name: 'output', parameters: { binary_data: false } }],
    });
    assert.deepEqual([but.json['outputs'], but.binary.byteLength], [[{ ...OUTPUT, data: [1, 2.5] }], 0]);
  });

  test('takes some inputs raw and others as JSON, and gives outputs likewise', async (t) => {
    const infer = await start(t);
    const ids = tensorOf('int64', [1, 2], [2n ** 60n, -1n]);
    const raw = Buffer.from(ids.data.buffer);
    const json = Buffer.from(
      JSON.stringify({
        inputs: [
          { name: 'mask', shape: [1, 2], datatype: 'BOOL', data: [true, false] },
          { name: 'ids', shape: [1, 2], datatype: 'INT64', parameters: { binary_data_size: 16 } },
        ],
        outputs: [{ name: 'mask' }, { name: 'ids', parameters: { binary_data: true } }],
      }),
    );
    const headers = { 'inference-header-content-length': String(json.byteLength) };
    const answer = await infer(Buffer.concat([json, raw]), 'pair/infer', headers);
    assert.deepEqual(answer.json['outputs'], [
      { name: 'mask', datatype: 'BOOL', shape: [1, 2], data: [true, false] },
      { name: 'ids', datatype: 'INT64', shape: [1, 2], parameters: { binary_data_size: 16 } },
    ]);
    assert.deepEqual(answer.binary, raw);
  });

  test('carries tensors that come in many pieces', async (t) => {
    const infer = await start(t, { config: { maxBodyBytes: 2_000_000 } });
    const data = Float32Array.from({ length: 300_000 - 1 }, (_, i) => i);
    const large = new Tensor('float32', [1, data.length], data);
    const { body, headers } = binaryRequest({ input: large }, { parameters: { binary_data_output: true }, id: 'odd' });
    const answer = await infer(body, undefined, headers);
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.binary, Buffer.from(data.buffer));
  });

  test('takes a body without any JSON as the one input, and answers raw', async (t) => {
    const infer = await start(t);
    const none = { 'inference-header-content-length': '0' };
    const row = await infer(Buffer.from(ROW.data.buffer), undefined, none);
    assert.deepEqual(row.json['outputs'], [{ ...OUTPUT, parameters: { binary_data_size: 8 } }]);
    const fixed = await infer(Buffer.alloc(16), 'net/infer', none);
    assert.deepEqual((fixed.json['outputs'] as { shape: unknown }[])[0]?.shape, [2, 2]);
    const words = await infer('{"a":1}', 'words/infer', none);
    assert.equal(words.binary.subarray(4).toString(), '{"a":1}');
    const odd = await infer(Buffer.alloc(7), 'net/infer', none);
    assert.match(String(odd.json['error']), /7 bytes do not tell its shape, which is \[-1, 2\]/);
    assert.match(String((await infer('x', 'pair/infer', none)).json['error']), /it has 2: "ids", "mask"/);
  });
});

describe('compression', () => {
  const codings = { gzip: [gzipSync, gunzipSync], deflate: [deflateSync, inflateSync] } as const;
  const wide = new Tensor('float32', [1, 600], new Float32Array(600));

  for (const [name, [compress, decompress]] of Object.entries(codings)) {
    test(`takes and gives ${name}, JSON and binary`, async (t) => {
      const { http } = await startInference(t, { config: { compression: true } });
      const url = http.url('/v2/models/echo.float32/infer');
      for (const parameters of [{}, { binary_data_output: true }]) {
        const { body, headers } = binaryRequest({ input: wide }, { parameters });
        const answer = await sendRaw(url, compress(body), {
          ...headers,
          'content-encoding': name,
          'accept-encoding': name,
        });
        assert.equal(answer.headers['content-encoding'], name);
        const plain = decompress(answer.body);
        const length = Number(answer.headers['inference-header-content-length'] ?? plain.byteLength);
        const json = JSON.parse(plain.subarray(0, length).toString()) as { outputs: { shape: unknown }[] };
        assert.deepEqual(json.outputs[0]?.shape, [1, 600]);
        assert.equal(plain.byteLength - length, 'binary_data_output' in parameters ? 2400 : 0);
      }
    });
  }

  test('leaves raw outputs as they are for a client that names all codings that it knows', async (t) => {
    const { http } = await startInference(t, { config: { compression: true } });
    const { body, headers } = binaryRequest({ input: wide }, { parameters: { binary_data_output: true } });
    const url = http.url('/v2/models/echo.float32/infer');
    const answer = await sendRaw(url, body, { ...headers, 'accept-encoding': 'gzip, deflate, br' });
    assert.equal(answer.headers['content-encoding'], undefined);
    const json = await sendRaw(url, binaryRequest({ input: wide }).body, {
      ...binaryRequest({ input: wide }).headers,
      'accept-encoding': 'gzip, deflate, br',
    });
    assert.equal(json.headers['content-encoding'], 'gzip'); // never br
    const metadata = await sendRaw(http.url('/v2/repository/index'), Buffer.from('{}'), { 'accept-encoding': 'gzip' });
    assert.equal(metadata.headers['content-encoding'], undefined);
    assert.ok(metadata.body.byteLength > 1024);
  });
});

interface RawAnswer {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

/** Without the decompression of `fetch`. */
function sendRaw(url: string, body: Uint8Array, headers: Readonly<Record<string, string>>): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const call = request(url, { method: 'POST', agent: false, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        resolve({ headers: response.headers as RawAnswer['headers'], body: Buffer.concat(chunks) });
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}
