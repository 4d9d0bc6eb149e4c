import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import {
  Client,
  Metadata,
  credentials,
  loadPackageDefinition,
  status,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition as GrpcDefinition,
  type ServiceError,
  type StatusObject,
  type UntypedServiceImplementation,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { RunnerTransport } from '#dist/service/bound-runners.js';
import { JubakoError } from '#dist/errors.js';
import { createInvoker } from '#dist/service/create-invoker.js';
import { defineRunner, defineService, type HandlerContext, type ServiceDefinition } from '#dist/service/define.js';
import type { GrpcExtension, GrpcServiceContext } from '#dist/service/extensions.js';
import { json } from '#dist/service/index.js';
import { callUnary, startGrpc, type Harness, type Message } from './grpc-harness.js';

const PROTO = `syntax = "proto3";
package sample.v1;
service Greeter {
  rpc Hello(Name) returns (Greeting);
  rpc Collect(stream Name) returns (Greeting);
  rpc Count(Name) returns (stream Greeting);
  rpc Chat(stream Name) returns (stream Greeting);
}
message Name { string name = 1; }
message Greeting { string text = 1; int32 number = 2; }
`;

interface Name {
  readonly name: string;
}

interface Greeting {
  readonly text: string;
  readonly number?: number;
}

type Respond = sendUnaryData<Greeting>;

function protoFile(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'jubako-proto-'));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  const file = join(folder, 'greeter.proto');
  writeFileSync(file, PROTO);
  return file;
}

const doubler = defineRunner({
  name: 'doubler',
  load: () => null,
  methods: { double: { input: json<number>(), output: json<number>(), run: () => 0 } },
});

interface GreeterClient extends Client {
  Collect(done: (error: ServiceError | null, answer?: Greeting) => void): ClientWritableStream<Name>;
  Count(name: Name): ClientReadableStream<Greeting>;
  Chat(): ClientDuplexStream<Name, Greeting>;
}

interface Started {
  readonly grpc: Harness;
  readonly client: GreeterClient;
}

interface StartOptions {
  readonly timeoutMs?: number;
  readonly transport?: Partial<RunnerTransport>;
  readonly extension?: Partial<GrpcExtension>;
  readonly reflection?: boolean;
}

async function start(
  t: TestContext,
  implementation: (context: GrpcServiceContext) => UntypedServiceImplementation,
  { timeoutMs = 0, transport = {}, extension = {}, reflection = false }: StartOptions = {},
): Promise<Started> {
  const file = protoFile(t);
  const grpc: GrpcExtension = {
    services: [{ definition: { proto: file, service: 'sample.v1.Greeter' }, implementation }],
    ...extension,
  };
  const service = { ...defineService({ name: 'sample', runners: [doubler], apis: {} }), grpc } as ServiceDefinition;
  const invoker = createInvoker({
    service,
    timeoutMs,
    streamLimits: { firstMs: 0, idleMs: 0, wholeMs: 0 },
    transport: {
      call: ({ input }) => Promise.resolve(2 * (input as number)),
      stream: () => {
        throw new JubakoError('INTERNAL', 'no test asked for this');
      },
      ...transport,
    },
  });
  const harness = await startGrpc(t, { service, others: { invoker }, config: { reflection } });
  const loaded = loadPackageDefinition(loadSync(file)) as unknown as {
    readonly sample: { readonly v1: { readonly Greeter: new (...given: unknown[]) => GreeterClient } };
  };
  const client = new loaded.sample.v1.Greeter(`localhost:${harness.port}`, credentials.createInsecure());
  t.after(() => {
    client.close();
  });
  return { grpc: harness, client };
}

function hello(client: Client, name: string, deadlineMs?: number): Promise<Message> {
  const options = deadlineMs === undefined ? {} : { deadlineMs };
  return callUnary(client, 'Hello', { name }, options).then(({ response }) => response);
}

async function failureOf(promise: Promise<unknown>): Promise<ServiceError> {
  return promise.then(
    () => assert.fail('it did not fail'),
    (thrown: unknown) => thrown as ServiceError,
  );
}

function statusOf(
  stream: Client | ClientReadableStream<Greeting> | ClientDuplexStream<Name, Greeting>,
): Promise<StatusObject> {
  const emitter = stream as ClientReadableStream<Greeting>;
  emitter.on('error', () => undefined);
  return new Promise((resolve) => {
    emitter.on('status', resolve);
  });
}

const greet = (context: GrpcServiceContext): UntypedServiceImplementation => ({
  async Hello(call: ServerUnaryCall<Name, Greeting>, respond: Respond): Promise<void> {
    const { runners, requestId } = context.contextOf(call) as HandlerContext<{
      doubler: { double(n: number): Promise<number> };
    }>;
    respond(null, { text: `Hello, ${call.request.name} (${requestId})`, number: await runners.doubler.double(21) });
  },
  Collect(call: ServerReadableStream<Name, Greeting>, respond: Respond): void {
    const names: string[] = [];
    call.on('data', ({ name }: Name) => names.push(name));
    call.on('end', () => {
      respond(null, { text: names.join('+') });
    });
  },
  Count(call: ServerWritableStream<Name, Greeting>): void {
    for (const number of [1, 2, 3]) call.write({ text: call.request.name, number });
    call.end();
  },
  Chat(call: ServerDuplexStream<Name, Greeting>): void {
    call.on('data', ({ name }: Name) => call.write({ text: `${name}!` }));
    call.on('end', () => call.end());
  },
});

describe('a service of the user', () => {
  test('is served in all four forms, with the runners of the service, and recorded by its routes', async (t) => {
    const { grpc, client } = await start(t, greet);
    const { response, initial } = await callUnary(
      client,
      'Hello',
      { name: 'Ada' },
      { metadata: { 'x-request-id': 'r-5' } },
    );
    assert.deepEqual(response, { text: 'Hello, Ada (r-5)', number: 42 });
    assert.deepEqual(initial.get('x-request-id'), ['r-5']);

    const collected = await new Promise((resolve, reject) => {
      const call = client.Collect((error, answer) => {
        if (error === null) resolve(answer?.text);
        else reject(error);
      });
      for (const name of ['a', 'b', 'c']) call.write({ name });
      call.end();
    });
    assert.equal(collected, 'a+b+c');

    const counted: Greeting[] = [];
    for await (const one of client.Count({ name: 'n' })) counted.push(one as Greeting);
    assert.deepEqual(
      counted.map(({ number }) => number),
      [1, 2, 3],
    );

    const chat = client.Chat();
    chat.write({ name: 'x' });
    const [said] = (await once(chat, 'data')) as [Greeting];
    assert.equal(said.text, 'x!');
    chat.end();
    await once(chat.resume(), 'end');

    await grpc.record(4);
    assert.deepEqual(
      grpc.records.map(({ route, outcome }) => [route, outcome]),
      ['Hello', 'Collect', 'Count', 'Chat'].map((name) => [`/sample.v1.Greeter/${name}`, 'ok']),
    );
  });

  test('may come as a definition, and its .proto as a URL', async (t) => {
    const definition = loadSync(protoFile(t))['sample.v1.Greeter'] as GrpcDefinition;
    const hi = (): UntypedServiceImplementation => ({
      Hello: (_: unknown, respond: Respond) => {
        respond(null, { text: 'hi' });
      },
    });
    for (const given of [definition, { proto: pathToFileURL(protoFile(t)), service: 'sample.v1.Greeter' }]) {
      const { client } = await start(t, hi, { extension: { services: [{ definition: given, implementation: hi }] } });
      assert.equal((await hello(client, 'Ada'))['text'], 'hi');
    }
  });

  test('answers UNIMPLEMENTED for what it declares and does not implement', async (t) => {
    const { grpc, client } = await start(t, () => ({}));
    assert.equal((await failureOf(hello(client, 'Ada'))).code, status.UNIMPLEMENTED);
    assert.equal((await statusOf(client.Count({ name: 'n' }).resume())).code, status.UNIMPLEMENTED);
    assert.equal((await grpc.record(1)).route, '/sample.v1.Greeter/Hello');
  });

  test('is known to health and to both versions of reflection, with its messages', async (t) => {
    const { grpc, client } = await start(t, greet, { reflection: true });
    assert.equal((await grpc.connect().check('sample.v1.Greeter')).response['status'], 'SERVING');
    for (const version of ['v1', 'v1alpha']) {
      const bytes = (value: Buffer): Buffer => value;
      const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
      const stream = client.makeBidiStreamRequest(path, bytes, bytes);
      const ask = async (field: number, text: string): Promise<string> => {
        stream.write(Buffer.concat([Buffer.from([(field << 3) | 2, text.length]), Buffer.from(text)]));
        const [answer] = (await once(stream, 'data')) as [Buffer];
        return answer.toString('latin1');
      };
      assert.match(await ask(7, ''), /sample\.v1\.Greeter/);
      const file = await ask(4, 'sample.v1.Greeter');
      assert.match(file, /Greeting/);
      assert.match(file, /Collect/);
      assert.match(await ask(4, 'google.rpc.ErrorInfo'), /google_rpc\.proto/);
      stream.end();
      await once(stream.resume(), 'end');
    }
  });

  for (const [title, extension, message] of [
    ['whose .proto is not there', { proto: '/no/such/file.proto', service: 'a.B' }, /Cannot load the \.proto file/],
    ['whose definition is empty', {}, /has no methods/],
  ] as const) {
    test(`${title} is refused when the server starts`, async (t) => {
      const services = [{ definition: extension as GrpcDefinition, implementation: () => ({}) }];
      await assert.rejects(start(t, greet, { extension: { services } }), (thrown) => {
        assert.equal((thrown as JubakoError).code, 'SERVICE_INVALID');
        assert.match((thrown as JubakoError).message, message);
        return true;
      });
    });
  }

  test('that its file does not have, that is served already, or that fails to start is refused', async (t) => {
    const file = protoFile(t);
    const definition = { proto: file, service: 'sample.v1.Greeter' };
    const wrong = { proto: file, service: 'sample.v1.Other' };
    const fails = (): never => {
      throw new Error('no licence');
    };
    const implementation = (): UntypedServiceImplementation => ({});
    for (const [services, message] of [
      [
        [{ definition: wrong, implementation }],
        /no service "sample\.v1\.Other" .*the services are sample\.v1\.Greeter/,
      ],
      [[{ definition, implementation: fails }], /implementation fails: no licence/],
      [
        [
          { definition, implementation },
          { definition, implementation },
        ],
        /\/sample\.v1\.Greeter\/Hello twice/,
      ],
      [[{ definition, implementation: () => 1 as never }], /gives 1; wanted an object/],
      [[{ definition, implementation: () => ({ Hello: 1 as never }) }], /Greeter\.Hello is not a function/],
    ] as const) {
      await assert.rejects(start(t, greet, { extension: { services } }), (thrown) => {
        assert.equal((thrown as JubakoError).code, 'SERVICE_INVALID');
        assert.match((thrown as JubakoError).message, message);
        return true;
      });
    }
  });
});

describe('what a handler of the user fails with', () => {
  const cases: readonly (readonly [
    title: string,
    thrown: unknown,
    code: status,
    errorCode: string,
    details: RegExp,
  ])[] = [
    [
      'a JubakoError',
      new JubakoError('QUEUE_FULL', 'no place'),
      status.RESOURCE_EXHAUSTED,
      'QUEUE_FULL',
      /^QUEUE_FULL: no place$/,
    ],
    [
      'any error',
      new Error('password 1234'),
      status.INTERNAL,
      'USER_CODE',
      /^USER_CODE: The code of the service failed/,
    ],
    ['no error at all', 'oops', status.INTERNAL, 'USER_CODE', /^USER_CODE/],
    [
      'a code of Node',
      Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }),
      status.INTERNAL,
      'USER_CODE',
      /^USER_CODE/,
    ],
    [
      'a status of its own',
      { code: status.FAILED_PRECONDITION, details: 'not yet' },
      status.FAILED_PRECONDITION,
      'INVALID_INPUT',
      /^not yet$/,
    ],
    [
      'an error with a status',
      Object.assign(new Error('there already'), { code: status.ALREADY_EXISTS }),
      status.ALREADY_EXISTS,
      'INVALID_INPUT',
      /^there already$/,
    ],
  ];

  for (const [title, thrown, code, errorCode, details] of cases) {
    test(`${title} is answered ${status[code]}, by callback, throw, rejection or stream`, async (t) => {
      const { grpc, client } = await start(t, () => ({
        Hello({ request }: ServerUnaryCall<Name, Greeting>, respond: Respond): Promise<void> | undefined {
          if (request.name === 'throw') throw thrown;
          if (request.name === 'reject') return Promise.reject(thrown as Error);
          respond(thrown as ServiceError);
          return undefined;
        },
        Collect(_: unknown, respond: Respond): void {
          respond(thrown as ServiceError);
        },
        Count(call: ServerWritableStream<Name, Greeting>): Promise<void> | undefined {
          call.write({ text: 'first' });
          if (call.request.name === 'throw') throw thrown;
          if (call.request.name === 'reject') return Promise.reject(thrown as Error);
          if (call.request.name === 'destroy') call.destroy(thrown as Error);
          else call.emit('error', thrown);
          return undefined;
        },
        Chat(call: ServerDuplexStream<Name, Greeting>): void {
          call.on('data', () => call.emit('error', thrown));
        },
      }));
      const failures: { readonly code: number; readonly details: string; readonly metadata: Metadata }[] = [];
      for (const name of ['callback', 'throw', 'reject']) failures.push(await failureOf(hello(client, name)));
      for (const name of ['emit', 'throw', 'reject', 'destroy'])
        failures.push(await statusOf(client.Count({ name }).resume()));
      const chat = client.Chat();
      chat.write({ name: 'x' });
      failures.push(await statusOf(chat.resume()));
      failures.push(
        await new Promise((resolve) => {
          client.Collect((error) => {
            resolve(error as ServiceError);
          });
        }),
      );
      for (const failure of failures) {
        assert.equal(failure.code, code);
        assert.match(failure.details, details);
        assert.deepEqual(failure.metadata.get('x-error-code'), [errorCode]);
        assert.equal(failure.metadata.get('x-request-id').length, 1);
        assert.equal(failure.metadata.get('grpc-status-details-bin').length, 1);
        assert.doesNotMatch(failure.details, /1234/);
      }
      await grpc.record(failures.length);
      assert.deepEqual(new Set(grpc.records.map((record) => record.outcome)), new Set([errorCode]));
      const logged = grpc.logs.filter((line) => line['event'] === 'request.failed');
      assert.equal(logged.length, errorCode === 'USER_CODE' ? failures.length : 0);
    });
  }

  test('metadata that it gives stays beside ours', async (t) => {
    const { client } = await start(t, () => ({
      Hello({ request }: ServerUnaryCall<Name, Greeting>, respond: Respond): void {
        const trailer = new Metadata();
        trailer.set('x-own', request.name);
        if (request.name === 'ok') respond(null, { text: 'fine' }, trailer);
        else respond(new JubakoError('NOT_FOUND', 'nothing') as unknown as ServiceError, null, trailer);
      },
    }));
    const { trailing } = await callUnary(client, 'Hello', { name: 'ok' });
    assert.deepEqual(trailing.get('x-own'), ['ok']);
    const { code, metadata } = await failureOf(hello(client, 'bad'));
    assert.equal(code, status.NOT_FOUND);
    assert.deepEqual([metadata.get('x-own'), metadata.get('x-error-code')], [['bad'], ['NOT_FOUND']]);
  });

  test('a stream that it closes without a status is USER_CODE, and its client does not wait', async (t) => {
    const { client } = await start(t, () => ({
      Count(call: ServerWritableStream<Name, Greeting>): void {
        call.destroy();
      },
    }));
    assert.equal((await statusOf(client.Count({ name: 'x' }).resume())).code, status.INTERNAL);
  });

  test('a request that cannot be decoded never reaches it', async (t) => {
    let calls = 0;
    const { client } = await start(t, () => ({
      Hello(_: unknown, respond: Respond): void {
        calls += 1;
        respond(null, { text: '' });
      },
    }));
    const bytes = (value: Buffer): Buffer => value;
    const error = await new Promise<ServiceError | null>((resolve) => {
      client.makeUnaryRequest('/sample.v1.Greeter/Hello', bytes, bytes, Buffer.of(0x80), resolve);
    });
    assert.equal(error?.code, status.INVALID_ARGUMENT);
    assert.equal(calls, 0);
  });

  test('an answer that cannot be encoded is INTERNAL, and its cause is logged', async (t) => {
    const { grpc, client } = await start(t, () => ({
      Hello(_: unknown, respond: Respond): void {
        respond(null, { text: { toString: 'no' } } as unknown as Greeting);
      },
    }));
    assert.equal((await failureOf(hello(client, 'Ada'))).code, status.INTERNAL);
    const line = grpc.logs.find(({ event }) => event === 'answer.unencodable');
    assert.equal(line?.['route'], '/sample.v1.Greeter/Hello');
  });
});

describe('contextOf', () => {
  test('gives a signal that ends when the client goes, and ends its streams and limits with the call', async (t) => {
    const seen: HandlerContext[] = [];
    let arrived: () => void = () => undefined;
    const arrival = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const { client } = await start(t, (context) => ({
      Hello(call: ServerUnaryCall<Name, Greeting>): void {
        seen.push(context.contextOf(call), context.contextOf(call));
        arrived();
      },
    }));
    let cancel: () => void = () => undefined;
    const answer = callUnary(
      client,
      'Hello',
      { name: 'Ada' },
      {
        onCall: (call) => {
          cancel = (): void => {
            call.cancel();
          };
        },
      },
    );
    const failed = failureOf(answer);
    await arrival;
    const [context, again] = seen;
    assert.equal(context, again, 'asking twice is asking once');
    const aborted = once(context?.signal as AbortSignal, 'abort');
    cancel();
    await aborted;
    assert.equal((context?.signal.reason as JubakoError).code, 'CLIENT_GONE');
    assert.equal((await failed).code, status.CANCELLED);
  });

  test('carries the deadline of the client, and the setting timeout answers a handler that ignores it', async (t) => {
    let deadlineAtMs: number | undefined;
    const { grpc, client } = await start(
      t,
      (context) => ({
        async Hello(call: ServerUnaryCall<Name, Greeting>, respond: Respond): Promise<void> {
          const { runners } = context.contextOf(call) as HandlerContext<{
            doubler: { double(n: number): Promise<number> };
          }>;
          respond(null, { text: '', number: await runners.doubler.double(1) });
        },
        Count(call: ServerWritableStream<Name, Greeting>): void {
          context.contextOf(call);
        },
      }),
      {
        timeoutMs: 100,
        transport: {
          call: (call) => {
            deadlineAtMs = call.deadlineAtMs;
            return new Promise(() => undefined);
          },
        },
      },
    );
    const { code, details } = await failureOf(hello(client, 'Ada'));
    assert.equal(code, status.DEADLINE_EXCEEDED);
    assert.match(details, /^DEADLINE_EXCEEDED: /);
    assert.ok(deadlineAtMs !== undefined);
    assert.equal((await statusOf(client.Count({ name: 'x' }).resume())).code, status.DEADLINE_EXCEEDED);
    assert.equal((await grpc.record(2)).outcome, 'DEADLINE_EXCEEDED');
  });

  test('fails for a call that is over', async (t) => {
    let late: (() => unknown) | undefined;
    const { grpc, client } = await start(t, (context) => ({
      Hello(call: ServerUnaryCall<Name, Greeting>, respond: Respond): void {
        late = (): unknown => context.contextOf(call);
        respond(null, { text: 'done' });
      },
    }));
    await hello(client, 'Ada');
    await grpc.record(1);
    assert.throws(() => late?.(), { code: 'CLIENT_GONE' });
  });
});
