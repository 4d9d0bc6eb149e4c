import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { JubakoError } from '#dist/errors.js';
import { tensorOf } from '#dist/tensor/index.js';
import { send } from '../support/http-client.js';
import { binaryRequest, postInfer, type HttpAnswer } from './inference-calls.js';
import { startInference, type InferenceOptions } from './inference-harness.js';

const ROW = tensorOf('float32', [1, 2], [1, 2.5]);
const INPUT = { name: 'input', shape: [1, 2], datatype: 'FP32', data: [1, 2.5] };

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

describe('refusals', () => {
  test('say what does not fit, in the form of the protocol', async (t) => {
    const infer = await start(t);
    const refuses = async (message: RegExp, body: unknown, headers = {}): Promise<void> => {
      const answer = await infer(body, undefined, headers);
      assert.equal(answer.status, 400, JSON.stringify(answer.json));
      assert.deepEqual(Object.keys(answer.json), ['error']);
      assert.match(String(answer.json['error']), message);
      assert.equal(answer.headers.get('x-error-code'), 'INVALID_INPUT');
      assert.equal(answer.headers.get('content-type'), 'application/json');
    };
    await refuses(/Cannot read the body as JSON: it is empty/, '');
    await refuses(/Cannot read the body as JSON/, '{');
    await refuses(/the body: it is a list of 0; wanted an object/, '[]');
    await refuses(/the inputs: they are undefined; wanted a list/, '{}');
    await refuses(/input 0: it is 5; wanted an object/, { inputs: [5] });
    await refuses(/the name of input 0: it is undefined; wanted a text/, { inputs: [{}] });
    await refuses(/the datatype of the input "input": it is 5/, { inputs: [{ ...INPUT, datatype: 5 }] });
    await refuses(/"input": its shape is "x"; wanted a list/, { inputs: [{ ...INPUT, shape: 'x' }] });
    await refuses(/"input": its shape is \[1.5, 2\]; wanted \[-1, -1\]/, { inputs: [{ ...INPUT, shape: [1.5, 2] }] });
    await refuses(/"input": its datatype is "INT8"; wanted FP32/, { inputs: [{ ...INPUT, datatype: 'INT8' }] });
    await refuses(/input "other": wanted "input"/, { inputs: [{ ...INPUT, name: 'other' }] });
    await refuses(/2 are given; wanted 1/, { inputs: [INPUT, INPUT] });
    await refuses(/its data is a list of 1; wanted a list of 2/, { inputs: [{ ...INPUT, data: [1] }] });
    await refuses(/neither data nor the parameter binary_data_size/, { inputs: [{ ...INPUT, data: undefined }] });
    await refuses(/output "x": the outputs are "output"/, { inputs: [INPUT], outputs: [{ name: 'x' }] });
    await refuses(/the outputs: they are 5/, { inputs: [INPUT], outputs: 5 });
    await refuses(/the id: it is 5; wanted a text/, { inputs: [INPUT], id: 5 });
    await refuses(/the parameters of the request: it is 5/, { inputs: [INPUT], parameters: 5 });
    await refuses(/parameter "a" of the request, which is an object/, { inputs: [INPUT], parameters: { a: {} } });
    await refuses(/parameter "sequence_id"/, { inputs: [INPUT], parameters: { sequence_id: 3 } });
    await refuses(/parameter "priority"/, { inputs: [INPUT], parameters: { priority: 'high' } });
    await refuses(/parameter "binary_data_output"/, { inputs: [INPUT], parameters: { binary_data_output: 1 } });
    const shared = { shared_memory_region: 'x', shared_memory_byte_size: 8 };
    await refuses(/parameter "shared_memory_region" of the input/, { inputs: [{ ...INPUT, parameters: shared }] });
    const classes = { name: 'output', parameters: { classification: 2 } };
    await refuses(/parameter "classification" of the output/, { inputs: [INPUT], outputs: [classes] });

    const sized = (size: unknown): object => ({
      inputs: [{ ...INPUT, data: undefined, parameters: { binary_data_size: size } }],
    });
    await refuses(/binary_data_size is 8, the body has 0 bytes left/, sized(8));
    await refuses(/binary_data_size is -1; wanted a number of bytes/, sized(-1));
    await refuses(/has data beside the parameter/, { inputs: [{ ...INPUT, parameters: { binary_data_size: 0 } }] });
    const { body, headers } = binaryRequest({ input: ROW });
    await refuses(/3 bytes more than its inputs say/, Buffer.concat([body, Buffer.alloc(3)]), headers);
    for (const length of ['9999', '-1', '1e1', ''])
      await refuses(/Inference-Header-Content-Length/, body, { 'inference-header-content-length': length });
  });

  test('have the status of their row, also below paths that there are not', async (t) => {
    const { http } = await startInference(t);
    const ask = async (method: string, path: string): Promise<readonly unknown[]> => {
      const body = method === 'POST' || method === 'PUT' ? '{}' : undefined;
      const answer = await send(http.url(path), body, { method });
      const { error } = answer.json as { readonly error: unknown };
      assert.equal(typeof error, 'string', answer.text);
      return [answer.status, answer.headers['x-error-code'], answer.headers['allow']];
    };
    assert.deepEqual(await ask('POST', '/v2/models/nope/infer'), [404, 'NOT_FOUND', undefined]);
    assert.deepEqual(await ask('POST', '/v2/models/net/versions/9/infer'), [404, 'NOT_FOUND', undefined]);
    assert.deepEqual(await ask('POST', '/v2/models/net/versions/2/infer'), [503, 'NOT_READY', undefined]);
    assert.deepEqual(await ask('POST', '/v2/models/tokens/infer'), [400, 'INVALID_INPUT', undefined]);
    assert.deepEqual(await ask('GET', '/v2/nope'), [404, 'NOT_FOUND', undefined]);
    assert.deepEqual(await ask('GET', '/v2/models/net/infer'), [405, 'METHOD_NOT_ALLOWED', 'POST']);
    assert.deepEqual(await ask('POST', '/v2/models/net'), [405, 'METHOD_NOT_ALLOWED', 'GET, HEAD']);
    assert.deepEqual(await ask('PUT', '/v2/health/live'), [405, 'METHOD_NOT_ALLOWED', 'GET, HEAD']);
  });

  test('an internal failure tells nothing, and is counted with its code', async (t) => {
    const { http } = await startInference(t, {
      invoker: { callRunner: () => Promise.reject(new JubakoError('USER_CODE', 'the inside')) },
    });
    const answer = await send(http.url('/v2/models/echo.float32/infer'), JSON.stringify({ inputs: [INPUT] }));
    assert.equal(answer.status, 500);
    assert.ok(!answer.text.includes('the inside'));
    assert.equal(answer.headers['x-error-code'], 'USER_CODE');
    const outcome = await http.nextOutcome();
    assert.deepEqual([outcome.route, outcome.outcome], ['/v2/models/{name}/infer', 'USER_CODE']);
  });

  test('requests beyond the limit are refused, health is not', async (t) => {
    let release = (): void => undefined;
    const called = new Promise<void>((resolve) => {
      release = resolve;
    });
    let answer = (): void => undefined;
    const infer = await start(t, {
      config: { maxConcurrency: 1 },
      invoker: {
        callRunner: ({ input }) => {
          release();
          return new Promise((resolve) => {
            answer = (): void => {
              resolve(input);
            };
          });
        },
      },
    });
    const first = infer({ inputs: [INPUT] });
    await called;
    const second = await infer({ inputs: [INPUT] });
    assert.equal(second.status, 503);
    assert.equal(second.headers.get('x-error-code'), 'QUEUE_FULL');
    assert.equal(second.headers.get('retry-after'), '1');
    answer();
    assert.equal((await first).status, 200);
  });
});
