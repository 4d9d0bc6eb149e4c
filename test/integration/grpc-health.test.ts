import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { status, type ClientReadableStream } from '@grpc/grpc-js';
import { defineRunner, defineService, type ServiceDefinition } from '#dist/service/define.js';
import { json } from '#dist/service/index.js';
import type { ModelControl } from '#dist/service/model-control.js';
import type { Readiness } from '#dist/service/protocol-server.js';
import { otherOptions } from '../support/protocol-options.js';
import { callUnary, startGrpc, type Harness, type Message, type SampleClient } from './grpc-harness.js';

const methods = { count: { input: json(), output: json(), run: (): number => 0 } };

/** Two versions of the model `words`, the second one by default, and a runner without a model. */
const service: ServiceDefinition = defineService({
  name: 'sample',
  runners: [
    defineRunner({ name: 'words-1', load: () => null, methods }),
    defineRunner({ name: 'words-2', load: () => null, methods }),
    defineRunner({ name: 'plain', load: () => null, methods }),
  ],
  apis: {},
});
for (const [i, version] of ['1', '2'].entries()) {
  const runner = service.runners[i] as unknown as { model: object };
  runner.model = { name: 'words', version, isDefault: version === '2' };
}

const NAMES = [
  '',
  'bentoml.grpc.v1.BentoService',
  'inference.GRPCInferenceService',
  'jubako.v1.Jubako',
  'plain',
  'words',
  'words-1',
  'words-2',
];

class Runners {
  readonly unready = new Set<string>();
  asked = 0;

  readonly models: ModelControl = {
    ...otherOptions().models,
    readinessOf: (runner): Promise<Readiness> => {
      this.asked += 1;
      return Promise.resolve(this.unready.has(runner) ? { ready: false, reason: 'not loaded' } : { ready: true });
    },
  };

  start(t: Parameters<typeof startGrpc>[0], readiness: () => Readiness = () => ({ ready: true })): Promise<Harness> {
    return startGrpc(t, { service, readiness, others: { models: this.models } });
  }
}

function watch(client: SampleClient, name: string): ClientReadableStream<Message> {
  const health = client.health as unknown as { Watch(request: Message): ClientReadableStream<Message> };
  return health.Watch({ service: name }).on('error', () => undefined);
}

async function next(stream: ClientReadableStream<Message>): Promise<unknown> {
  const [message] = (await once(stream, 'data')) as [Message];
  return message['status'];
}

async function listed(client: SampleClient): Promise<Readonly<Record<string, unknown>>> {
  const { response } = await callUnary(client.health, 'List', {});
  const statuses = response['statuses'] as Readonly<Record<string, Message>>;
  return Object.fromEntries(Object.entries(statuses).map(([name, { status: one }]) => [name, one]));
}

test('Check and List tell the state of the server, of each service, and of each runner and model by itself', async (t) => {
  const runners = new Runners();
  const client = (await runners.start(t)).connect();
  assert.deepEqual(Object.keys(await listed(client)).sort(), NAMES);
  for (const name of NAMES) assert.equal((await client.check(name)).response['status'], 'SERVING', name);

  runners.unready.add('words-2');
  for (const name of NAMES) {
    const wanted = name === 'words' || name === 'words-2' ? 'NOT_SERVING' : 'SERVING';
    assert.equal((await client.check(name)).response['status'], wanted, name);
    assert.equal((await listed(client))[name], wanted, name);
  }
  await assert.rejects(client.check('other'), { code: status.NOT_FOUND });
});

test('the server and its services are ready together', async (t) => {
  const client = (await new Runners().start(t, () => ({ ready: false, reason: 'warming up' }))).connect();
  for (const name of NAMES) {
    const wanted = name === '' || name.includes('.') ? 'NOT_SERVING' : 'SERVING';
    assert.equal((await client.check(name)).response['status'], wanted, name);
  }
});

test('Watch tells each change of one model, and nothing of the others', async (t) => {
  const runners = new Runners();
  const client = (await runners.start(t)).connect();
  const words = watch(client, 'words');
  const plain = watch(client, 'plain');
  const told: unknown[] = [];
  assert.equal(await next(plain), 'SERVING');
  plain.on('data', (message: Message) => told.push(message['status']));
  assert.equal(await next(words), 'SERVING');
  runners.unready.add('words-2');
  assert.equal(await next(words), 'NOT_SERVING');
  runners.unready.delete('words-2');
  assert.equal(await next(words), 'SERVING');
  assert.deepEqual(told, []);
  for (const stream of [words, plain]) stream.cancel();
});

test('many watchers of one name cost one question at a time, and none when they have gone', async (t) => {
  const runners = new Runners();
  const grpc = await runners.start(t);
  const client = grpc.connect();
  const watchers = Array.from({ length: 50 }, () => watch(client, 'words'));
  await Promise.all(watchers.map(next));
  const before = runners.asked;
  runners.unready.add('words-2');
  assert.deepEqual(new Set(await Promise.all(watchers.map(next))), new Set(['NOT_SERVING']));
  assert.ok(runners.asked - before < 10, `${runners.asked - before} questions for 50 watchers`);
  for (const stream of watchers) stream.cancel();
  await grpc.record(watchers.length);
  const last = runners.asked;
  await client.check('');
  assert.equal(runners.asked, last);
});

test('a drain tells every watcher NOT_SERVING, then ends the watch', async (t) => {
  const grpc = await new Runners().start(t);
  const client = grpc.connect();
  const stream = watch(client, 'words');
  assert.equal(await next(stream), 'SERVING');
  const ended = new Promise<unknown>((resolve) => {
    stream.on('status', ({ code }: { code: unknown }) => {
      resolve(code);
    });
  });
  const told = next(stream);
  const drained = grpc.server.drain(30_000);
  assert.equal(await told, 'NOT_SERVING');
  assert.equal(await ended, status.UNAVAILABLE);
  await drained;
});
