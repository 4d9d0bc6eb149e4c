import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { status, type ServiceError } from '@grpc/grpc-js';
import { ERROR_KINDS, JubakoError, isErrorCode, type ErrorCode } from '#dist/errors.js';
import { isRawOnly, toContents } from '#dist/grpc/tensor-contents.js';
import { JsonElements, JsonText, toJsonList } from '#dist/inference/json-elements.js';
import { RawElements, toRaw } from '#dist/inference/raw-elements.js';
import type { Port } from '#dist/inference/ports.js';
import { DTYPES, Tensor, tensorOf, type Dtype } from '#dist/tensor/index.js';
import { otherOptions } from '../support/protocol-options.js';
import type { Message } from './grpc-harness.js';
import { binaryRequest, postInfer } from './inference-calls.js';
import { startInference, type InferenceOptions, type InferenceServers } from './inference-harness.js';

/** The same request in each form that the protocol has: the answers are the same, and so are the failures. */

const TENSORS: Readonly<Record<Dtype, Tensor>> = {
  bool: tensorOf('bool', [2, 2], [1, 0, 0, 1]),
  uint8: tensorOf('uint8', [2, 2], [0, 1, 254, 255]),
  uint16: tensorOf('uint16', [2, 2], [0, 1, 2, 65_535]),
  uint32: tensorOf('uint32', [2, 2], [0, 1, 2, 4_294_967_295]),
  uint64: tensorOf('uint64', [2, 2], [0n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 64n - 1n]),
  int8: tensorOf('int8', [2, 2], [-128, -1, 0, 127]),
  int16: tensorOf('int16', [2, 2], [-32_768, -1, 0, 32_767]),
  int32: tensorOf('int32', [2, 2], [-2_147_483_648, -1, 0, 2_147_483_647]),
  int64: tensorOf('int64', [2, 2], [-(2n ** 63n), -(2n ** 53n) - 1n, 7n, 2n ** 63n - 1n]),
  float16: tensorOf('float16', [2, 2], [0x3c00, 0xbc00, 0x0001, 0x7bff]),
  bfloat16: tensorOf('bfloat16', [2, 2], [0x3f80, 0xbf80, 0x0001, 0x7f7f]),
  float32: tensorOf('float32', [2, 2], [0.1, -1.25, 3e38, 1e-45]),
  float64: tensorOf('float64', [2, 2], [0.1, -1e300, 5e-324, 0]),
  string: new Tensor('string', [2, 2], ['häuser', '', '"quoted"\n', '東京']),
};

interface Request {
  readonly model: string;
  readonly tensors: Readonly<Record<string, Tensor>>;
  readonly version?: string;
  readonly parameters?: Readonly<Record<string, number>>;
  readonly outputs?: readonly string[];
  /** What the request says of an input beside its elements, where that is another thing than the truth. */
  readonly says?: { readonly datatype?: string; readonly shape?: readonly number[] };
}

/** The first output, or the code that the request failed with. */
type Outcome =
  { readonly tensor: Tensor; readonly id: unknown; readonly version: unknown } | { readonly code: ErrorCode };

type Form = (servers: InferenceServers, request: Request) => Promise<Outcome>;

const FORMS: Readonly<Record<string, Form>> = {
  'HTTP with JSON': (servers, request) => overHttp(servers, request, false),
  'HTTP with binary data': (servers, request) => overHttp(servers, request, true),
  'gRPC with raw contents': (servers, request) => overGrpc(servers, request, true),
  'gRPC with typed contents': (servers, request) => overGrpc(servers, request, false),
};

async function overHttp({ http }: InferenceServers, request: Request, isBinary: boolean): Promise<Outcome> {
  const { model, version = '', parameters = {}, outputs, says = {}, tensors } = request;
  const rest = {
    id: 'same',
    parameters: { ...parameters, binary_data_output: isBinary },
    ...(outputs && { outputs: outputs.map((name) => ({ name })) }),
  };
  const path = version === '' ? model : `${model}/versions/${version}`;
  const url = http.url(`/v2/models/${path}/infer`);
  const sent = isBinary ? binaryRequest(tensors, rest, says) : { body: jsonRequest(tensors, rest, says) };
  const answer = await postInfer({ url, ...sent });
  if (answer.status !== 200) {
    const code = answer.headers.get('x-error-code') ?? '';
    assert.ok(isErrorCode(code), answer.text);
    assert.equal(answer.status, ERROR_KINDS[code].http);
    return { code };
  }
  const [output] = answer.json['outputs'] as readonly Output[];
  assert.ok(output !== undefined);
  const text = new JsonText(Buffer.from(answer.text));
  const exact = (): unknown => (text.exact as { outputs: readonly { data: unknown }[] }).outputs[0]?.data;
  const elements = isBinary ? new RawElements([answer.binary]) : new JsonElements(output.data, exact);
  const { id, model_version: given } = answer.json;
  return { tensor: elements.readTensor(portOf(output), output.shape), id, version: given };
}

interface Output {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data?: unknown;
}

function jsonRequest(tensors: Request['tensors'], rest: object, says: object): string {
  const inputs = Object.entries(tensors).map(([name, tensor]) => {
    const head = JSON.stringify({ name, datatype: DTYPES[tensor.dtype].oip, shape: tensor.shape, ...says });
    return `${head.slice(0, -1)},"data":${toJsonList(tensor)}}`;
  });
  return `${JSON.stringify(rest).slice(0, -1)},"inputs":[${inputs.join(',')}]}`;
}

async function overGrpc({ grpc }: InferenceServers, request: Request, isRaw: boolean): Promise<Outcome> {
  const { model, version = '', parameters = {}, outputs = [], says = {}, tensors } = request;
  const message: Message = {
    model_name: model,
    model_version: version,
    id: 'same',
    parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, { int64_param: value }])),
    outputs: outputs.map((name) => ({ name })),
    inputs: Object.entries(tensors).map(([name, tensor]) => {
      const input = { name, datatype: DTYPES[tensor.dtype].oip, shape: tensor.shape, ...says };
      return isRaw ? input : { ...input, contents: contentsOf(tensor) };
    }),
    ...(isRaw && { raw_input_contents: Object.values(tensors).map(toRaw) }),
  };
  try {
    const { response } = await grpc.connect().infer(message);
    const [output] = response['outputs'] as readonly (Message & { readonly shape: readonly string[] })[];
    assert.ok(output !== undefined);
    const [raw] = response['raw_output_contents'] as readonly Buffer[];
    const port = portOf(output as unknown as Output);
    const shape = output.shape.map(Number);
    const { id, model_version: given } = response;
    if (raw !== undefined) return { tensor: new RawElements([raw]).readTensor(port, shape), id, version: given };
    const [wanted] = Object.values(tensors); // the typed form as a client sees it: those of the input, which the model echoes
    assert.ok(wanted !== undefined);
    assertContents(output['contents'] as Message, wanted);
    return { tensor: wanted, id, version: given };
  } catch (thrown) {
    const { code, metadata } = thrown as ServiceError;
    const [given] = metadata.get('x-error-code');
    assert.ok(typeof given === 'string' && isErrorCode(given));
    assert.equal(code, status[ERROR_KINDS[given].grpc]);
    return { code: given };
  }
}

/** As protobuf.js of the client takes them: 64-bit integers as text. */
function contentsOf(tensor: Tensor): Message {
  if (tensor.dtype === 'int64' || tensor.dtype === 'uint64') {
    return { [`${tensor.dtype}_contents`]: [...(tensor.data as BigInt64Array)].map(String) };
  }
  return toContents(tensor) as Message;
}

function assertContents(contents: Message, wanted: Tensor): void {
  for (const [field, list] of Object.entries(contentsOf(wanted))) assert.deepEqual(contents[field], list);
}

function portOf({ name, datatype }: Output): Port {
  const dtype = (Object.keys(DTYPES) as Dtype[]).find((one) => DTYPES[one].oip === datatype);
  assert.ok(dtype !== undefined);
  return { name, dtype, datatype, shape: [-1, -1] };
}

describe('the same request gives the same answer', () => {
  for (const [dtype, tensor] of Object.entries(TENSORS) as [Dtype, Tensor][]) {
    test(`${dtype} in every form`, async (t) => {
      const seen: unknown[] = [];
      const servers = await startInference(t, {
        invoker: {
          callRunner: ({ input }) => {
            seen.push(input);
            return Promise.resolve(input);
          },
        },
      });
      for (const [name, form] of Object.entries(FORMS)) {
        if (isRawOnly(dtype) && name === 'gRPC with typed contents') continue;
        const outcome = await form(servers, { model: `echo.${dtype}`, tensors: { input: tensor } });
        assert.ok('tensor' in outcome, `${name}: ${'code' in outcome ? outcome.code : ''}`);
        assert.deepEqual([outcome.id, outcome.version], ['same', '7'], name);
        for (const given of [outcome.tensor, seen.pop() as Tensor]) {
          assert.deepEqual([given.dtype, given.shape], [dtype, [2, 2]], name);
          assert.deepEqual([...(given.data as Iterable<unknown>)], [...(tensor.data as Iterable<unknown>)], name);
        }
      }
    });
  }
});

const ROW = tensorOf('float32', [1, 2], [1, 2]);
const FINE: Request = { model: 'echo.float32', tensors: { input: ROW } };

const FAILURES: Readonly<
  Record<string, { readonly request: Request; readonly options?: InferenceOptions; readonly code: ErrorCode }>
> = {
  'an unknown model': { request: { ...FINE, model: 'nope' }, code: 'NOT_FOUND' },
  'an unknown version': { request: { ...FINE, version: '8' }, code: 'NOT_FOUND' },
  'a version that could not be loaded': { request: { ...FINE, model: 'net', version: '2' }, code: 'NOT_READY' },
  'a model that streams': { request: { ...FINE, model: 'tokens.rows' }, code: 'INVALID_INPUT' },
  'an unknown input': { request: { ...FINE, tensors: { x: ROW } }, code: 'INVALID_INPUT' },
  'another datatype': { request: { ...FINE, says: { datatype: 'INT32' } }, code: 'INVALID_INPUT' },
  'another shape': { request: { ...FINE, says: { shape: [2, 2] } }, code: 'INVALID_INPUT' },
  'a shape of another rank': { request: { ...FINE, says: { shape: [2] } }, code: 'INVALID_INPUT' },
  'a negative size': { request: { ...FINE, says: { shape: [-1, 2] } }, code: 'INVALID_INPUT' },
  'an enormous shape': { request: { ...FINE, says: { shape: [2 ** 40, 2 ** 40] } }, code: 'INVALID_INPUT' },
  'no inputs': { request: { ...FINE, tensors: {} }, code: 'INVALID_INPUT' },
  'too many inputs': { request: { ...FINE, tensors: { input: ROW, more: ROW } }, code: 'INVALID_INPUT' },
  'an unknown output': { request: { ...FINE, outputs: ['x'] }, code: 'INVALID_INPUT' },
  'a sequence': { request: { ...FINE, parameters: { sequence_id: 5 } }, code: 'INVALID_INPUT' },
  'a negative priority': { request: { ...FINE, parameters: { priority: -1 } }, code: 'INVALID_INPUT' },
  'a negative timeout': { request: { ...FINE, parameters: { timeout: -1 } }, code: 'INVALID_INPUT' },
  'a document that is no JSON': {
    request: { model: 'words', tensors: { input: new Tensor('string', [1], ['{']) } },
    code: 'INVALID_INPUT',
  },
  'two documents for one tensor': {
    request: { model: 'embed', tensors: { input: new Tensor('string', [2], ['1', '2']) } },
    code: 'INVALID_INPUT',
  },
  'an unloaded model': {
    request: FINE,
    options: { others: { models: { ...otherOptions().models, isUnloaded: (runner) => runner === 'echo' } } },
    code: 'NOT_FOUND',
  },
  ...Object.fromEntries(
    (Object.keys(ERROR_KINDS) as ErrorCode[]).map((code) => [
      `a runner that fails with ${code}`,
      {
        request: FINE,
        options: { invoker: { callRunner: () => Promise.reject(new JubakoError(code, 'the runner says so')) } },
        code,
      },
    ]),
  ),
};

describe('the same request fails by the same row', () => {
  for (const [name, { request, options, code }] of Object.entries(FAILURES)) {
    test(name, async (t) => {
      const servers = await startInference(t, options);
      for (const [form, ask] of Object.entries(FORMS)) assert.deepEqual(await ask(servers, request), { code }, form);
    });
  }
});
