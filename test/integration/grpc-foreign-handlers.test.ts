import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import {
  Metadata,
  status,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { JubakoError } from '#dist/errors.js';
import { type HandlerContext } from '#dist/service/define.js';
import { callUnary } from './grpc-harness.js';
import { failureOf, hello, start, statusOf, type Greeting, type Name, type Respond } from './grpc-greeter-harness.js';

/** Handlers reject with anything. */
const failing = async (thrown: unknown): Promise<void> => {
  await Promise.resolve();
  throw thrown;
};

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
          if (request.name === 'reject') return failing(thrown);
          respond(thrown as ServiceError);
          return undefined;
        },
        Collect(_: unknown, respond: Respond): void {
          respond(thrown as ServiceError);
        },
        Count(call: ServerWritableStream<Name, Greeting>): Promise<void> | undefined {
          call.write({ text: 'first' });
          if (call.request.name === 'throw') throw thrown;
          if (call.request.name === 'reject') return failing(thrown);
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

  test('carries the deadline of the client, and the settings timeout and streamTimeout answer a handler that ignores them', async (t) => {
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
        streamTimeoutMs: 100,
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
