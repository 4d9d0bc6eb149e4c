import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { Client, credentials, status, type ClientDuplexStream } from '@grpc/grpc-js';
import { fromJSON, loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { JubakoError } from '#dist/errors.js';
import { defineService, type ServiceDefinition } from '#dist/service/define.js';
import type { ApiCall } from '#dist/service/invoke.js';
import { connect, fails, invalid, plainOf, service, startBento } from './grpc-bento-harness.js';
import { callUnary, type Message } from './grpc-harness.js';

function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((given) => {
    resolve = given;
  });
  return { promise, resolve };
}

describe('Call', () => {
  test('answers NOT_FOUND with the APIs that there are, under the route of the RPC', async (t) => {
    const { call, grpc } = await startBento(t);
    const notFound = fails(status.NOT_FOUND, 'NOT_FOUND', /API "nope": the APIs are words, number, give, pair/);
    await assert.rejects(call({ api_name: 'nope', text: { value: '' } }), notFound);
    await assert.rejects(call({}), fails(status.NOT_FOUND, 'NOT_FOUND', /API ""/));
    await assert.rejects(call({ api_name: 'constructor' }), fails(status.NOT_FOUND, 'NOT_FOUND', /"constructor"/));
    const { route, outcome, status: code } = await grpc.record(1);
    assert.deepEqual([route, outcome, code], ['/bentoml.grpc.v1.BentoService/Call', 'NOT_FOUND', status.NOT_FOUND]);
  });

  test('answers NOT_FOUND where the service has no APIs', async (t) => {
    const none: ServiceDefinition = defineService({ name: 'none', apis: {} });
    const { call } = await startBento(t, { service: none });
    await assert.rejects(call({ api_name: 'x' }), fails(status.NOT_FOUND, 'NOT_FOUND', /the APIs are \(none\)/));
  });

  test('hands the request id, the deadline and the leaving of the caller to the invoker', async (t) => {
    const calls: ApiCall[] = [];
    const { promise: called, resolve } = deferred<void>();
    const { call, grpc } = await startBento(t, {
      callApi: (given) => {
        calls.push(given);
        resolve();
        return new Promise(() => undefined);
      },
    });
    let cancel = (): void => undefined;
    const answer = call(
      { api_name: 'words', text: { value: 'x' } },
      {
        metadata: { 'x-request-id': 'r-1' },
        deadlineMs: 60_000,
        onCall: (given) => {
          cancel = (): void => {
            given.cancel();
          };
        },
      },
    );
    const failed = assert.rejects(answer, { code: status.CANCELLED });
    await called;
    const [given] = calls as [ApiCall];
    assert.equal(given.requestId, 'r-1');
    assert.ok((given.deadlineAtMs ?? Infinity) <= performance.now() + 60_000);
    assert.equal(given.cancellation.signal.aborted, false);
    const aborted = once(given.cancellation.signal, 'abort');
    cancel();
    await aborted;
    await failed;
    assert.equal((await grpc.record(1)).outcome, 'CLIENT_GONE');
  });

  test('passes the errors of the invoker on with their code', async (t) => {
    const { call } = await startBento(t, {
      callApi: () => Promise.reject(new JubakoError('RATE_LIMITED', 'too many')),
    });
    await assert.rejects(
      call({ api_name: 'words', text: { value: 'x' } }),
      fails(status.RESOURCE_EXHAUSTED, 'RATE_LIMITED', /too many/),
    );
  });

  test('counts against maxConcurrency; ServiceMetadata does not', async (t) => {
    const { promise, resolve } = deferred<unknown>();
    const { promise: called, resolve: onCalled } = deferred<void>();
    const { call, client } = await startBento(t, {
      config: { maxConcurrency: 1 },
      callApi: () => {
        onCalled();
        return promise;
      },
    });
    const request = { api_name: 'words', text: { value: 'x' } };
    const first = call(request);
    await called;
    await assert.rejects(call(request), fails(status.RESOURCE_EXHAUSTED, 'QUEUE_FULL', /the limit is 1/));
    await callUnary(client, 'ServiceMetadata', {});
    resolve('y');
    assert.equal(plainOf((await first).response['json'] as Message), 'y');
    // A request that is refused gives its place back.
    await assert.rejects(call({ api_name: 'words' }), invalid(/it is empty/));
    await assert.rejects(call({ api_name: 'nope' }), fails(status.NOT_FOUND, 'NOT_FOUND', /nope/));
    assert.equal((await call(request)).response['content'], 'json');
  });

  test('survives a request that is no protobuf message or nested too deeply, and blames the client', async (t) => {
    const { client, ask } = await startBento(t);
    const send = (request: Buffer): Promise<number | undefined> =>
      new Promise((resolve) => {
        const path = '/bentoml.grpc.v1.BentoService/Call';
        const bytes = (value: Buffer): Buffer => value;
        client.makeUnaryRequest(path, bytes, bytes, request, (error) => {
          resolve(error?.code);
        });
      });
    assert.equal(await send(Buffer.from([0x4a, 0xff, 0xff])), status.INVALID_ARGUMENT);
    // A list in a list, and so on: Request.json is field 9, Value.list_value 6, ListValue.values 1.
    const wrap = (field: number, inner: Buffer): Buffer => {
      const length = [];
      for (let rest = inner.length; ; rest >>>= 7) {
        length.push(rest > 127 ? (rest & 127) | 128 : rest);
        if (rest <= 127) break;
      }
      return Buffer.concat([Buffer.from([(field << 3) | 2, ...length]), inner]);
    };
    let value: Buffer = Buffer.alloc(0);
    for (let level = 0; level < 1000; level += 1) value = wrap(6, wrap(1, value));
    assert.equal(await send(Buffer.concat([wrap(1, Buffer.from('words')), wrap(9, value)])), status.INVALID_ARGUMENT);
    assert.equal((await ask('words', { text: { value: 'x' } }))['content'], 'json');
  });
});

describe('ServiceMetadata', () => {
  test('tells name, docs and descriptors as the arguments of those of BentoML', async (t) => {
    const { client, grpc } = await startBento(t);
    const { response } = await callUnary(client, 'ServiceMetadata', {});
    assert.equal(response['name'], 'sample');
    const apis = response['apis'] as Message[];
    const byName = new Map(apis.map((api) => [api['name'], api]));
    assert.deepEqual([...byName.keys()], Object.keys(service.apis));
    const descriptor = (api: string, side: 'input' | 'output'): unknown => {
      const given = byName.get(api)?.[side] as { descriptor_id: string; attributes: Message };
      return {
        id: given.descriptor_id,
        ...(plainOf({ kind: 'structValue', structValue: given.attributes }) as Message),
      };
    };
    const array = (dtype: string): unknown => ({
      id: 'bentoml.io.NumpyNdarray',
      args: { dtype, shape: [-1, 2], enforce_dtype: false, enforce_shape: true },
    });
    assert.equal(byName.get('words')?.['docs'], 'Says it again.');
    assert.equal(byName.get('pair')?.['docs'], undefined);
    for (const side of ['input', 'output'] as const) {
      assert.deepEqual(descriptor('words', side), {
        id: 'bentoml.io.JSON',
        args: { has_pydantic_model: false, has_json_encoder: false },
      });
      assert.deepEqual(descriptor('pair', side), {
        id: 'bentoml.io.Multipart',
        args: { ids: array('int64'), mask: array('bool') },
      });
    }
    // The dtype that a client finds in NDArray.
    for (const [dtype, numpy] of [
      ['float32', 'float32'],
      ['float64', 'float64'],
      ['bfloat16', 'float32'],
      ['float16', 'float32'],
      ['uint8', 'uint32'],
      ['int16', 'int32'],
      ['uint64', 'uint64'],
      ['string', 'str'],
    ] as const)
      assert.deepEqual(descriptor(dtype, 'input'), array(numpy));
    assert.equal((await grpc.record(1)).route, '/bentoml.grpc.v1.BentoService/ServiceMetadata');
  });
});

describe('protocolVersion', () => {
  test('v1alpha1 serves Call of v1alpha1 and nothing of v1', async (t) => {
    const { ask, grpc, client } = await startBento(t, { config: { protocolVersion: 'v1alpha1' } });
    const ndarray = { dtype: 'DTYPE_FLOAT', shape: [1, 2], float_values: [1, 2] };
    assert.deepEqual(await ask('float32', { ndarray }), { ndarray, content: 'ndarray' });
    await assert.rejects(
      ask('words', { file: { kind: 'FILE_TYPE_PNG', content: Buffer.of(1) } }),
      invalid(/"words": it is file; wanted json/),
    );
    assert.equal('ServiceMetadata' in client, false);
    const other = connect(t, grpc, 'v1');
    for (const method of ['Call', 'ServiceMetadata'])
      await assert.rejects(callUnary(other, method, { api_name: 'words' }), { code: status.UNIMPLEMENTED });
    const health = grpc.connect();
    assert.equal((await health.check('bentoml.grpc.v1alpha1.BentoService')).response['status'], 'SERVING');
    await assert.rejects(health.check('bentoml.grpc.v1.BentoService'), { code: status.NOT_FOUND });
    assert.equal((await grpc.record(1)).route, '/bentoml.grpc.v1alpha1.BentoService/Call');
  });

  test('v1 serves nothing of v1alpha1', async (t) => {
    const { grpc } = await startBento(t);
    const other = connect(t, grpc, 'v1alpha1');
    await assert.rejects(callUnary(other, 'Call', { api_name: 'words' }), { code: status.UNIMPLEMENTED });
    const health = grpc.connect();
    assert.equal((await health.check('bentoml.grpc.v1.BentoService')).response['status'], 'SERVING');
    await assert.rejects(health.check('bentoml.grpc.v1alpha1.BentoService'), { code: status.NOT_FOUND });
  });
});

describe('reflection', () => {
  /** google.protobuf.FileDescriptorProto, as far as the test looks. */
  interface Descriptor {
    readonly name: string;
    readonly dependency?: readonly string[];
    readonly messageType?: readonly DescriptorMessage[];
  }
  interface DescriptorMessage {
    readonly name: string;
    readonly nestedType?: readonly DescriptorMessage[];
    readonly reservedRange?: readonly unknown[];
  }
  // The bytes of FileDescriptorResponse, and those of FileDescriptorSet, which is the same but for the name.
  const answers = fromJSON({ nested: { Answer: { fields: { files: { type: 'bytes', id: 4 } } } } });
  const answerCodec = answers['Answer'] as MessageTypeDefinition<object, { readonly files: Buffer }>;
  const setCodec = loadSync('google/protobuf/descriptor.proto')[
    'google.protobuf.FileDescriptorSet'
  ] as MessageTypeDefinition<object, { readonly file: readonly Descriptor[] }>;

  for (const version of ['v1', 'v1alpha1'] as const) {
    test(`tells of ${version} what strict clients accept: imports, names of map entries, no reserved ranges`, async (t) => {
      const { grpc } = await startBento(t, { config: { protocolVersion: version, reflection: true } });
      const client = new Client(`localhost:${grpc.port}`, credentials.createInsecure());
      t.after(() => {
        client.close();
      });
      const bytes = (value: Buffer): Buffer => value;
      const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
      const stream: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(path, bytes, bytes);
      const ask = async (field: number, text: string): Promise<Buffer> => {
        stream.write(Buffer.concat([Buffer.from([(field << 3) | 2, text.length]), Buffer.from(text)]));
        const [answer] = (await once(stream, 'data')) as [Buffer];
        return answer;
      };
      const filesOf = async (symbol: string): Promise<readonly Descriptor[]> =>
        setCodec.deserialize(answerCodec.deserialize(await ask(4, symbol)).files).file;
      const entriesOf = (file: Descriptor | undefined, message: string): unknown =>
        file?.messageType?.find(({ name }) => name === message)?.nestedType?.map(({ name }) => name);

      assert.match((await ask(7, '')).toString('latin1'), /jubako\.v1\.Jubako/);
      assert.match((await ask(7, '')).toString('latin1'), new RegExp(`bentoml\\.grpc\\.${version}\\.BentoService`));
      const [bento, google] = await filesOf(`bentoml.grpc.${version}.BentoService`);
      const jubako = (await filesOf('jubako.v1.Jubako')).find(({ name }) => name === 'jubako_v1.proto');
      assert.deepEqual(jubako?.dependency, ['bentoml_grpc_v1.proto']);
      assert.equal(google?.name, 'google_protobuf.proto');
      assert.deepEqual(bento?.dependency, [google.name]);
      assert.equal(google.dependency, undefined);
      assert.deepEqual(entriesOf(bento, 'Multipart'), ['FieldsEntry']);
      assert.deepEqual(entriesOf(google, 'Struct'), ['FieldsEntry']);
      for (const message of bento.messageType ?? []) assert.equal(message.reservedRange, undefined, message.name);

      const [inference] = await filesOf('inference.ModelInferRequest');
      assert.equal(inference?.dependency, undefined);
      assert.ok((entriesOf(inference, 'ModelInferRequest') as string[]).includes('ParametersEntry'));
      stream.end();
      await once(stream.resume(), 'end');
    });
  }
});
