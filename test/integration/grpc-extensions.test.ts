import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import {
  status,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition as GrpcDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { JubakoError } from '#dist/errors.js';
import { type HandlerContext } from '#dist/service/define.js';
import type { GrpcServiceContext } from '#dist/service/extensions.js';
import { callUnary } from './grpc-harness.js';
import {
  failureOf,
  greeterFile,
  hello,
  start,
  statusOf,
  type Greeting,
  type Name,
  type Respond,
} from './grpc-greeter-harness.js';

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
    const definition = loadSync(greeterFile(t))['sample.v1.Greeter'] as GrpcDefinition;
    const hi = (): UntypedServiceImplementation => ({
      Hello: (_: unknown, respond: Respond) => {
        respond(null, { text: 'hi' });
      },
    });
    for (const given of [definition, { proto: pathToFileURL(greeterFile(t)), service: 'sample.v1.Greeter' }]) {
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
    const file = greeterFile(t);
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
