import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import {
  Metadata,
  credentials,
  loadPackageDefinition,
  status,
  type Client,
  type ClientReadableStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { LIMIT, fixture, repositoryFile, startPrimary, type Cleanup } from '../support/start-primary.js';

interface Greeting {
  readonly text: string;
}

type Done = (error: ServiceError | null, answer?: Greeting) => void;

interface Greeter extends Client {
  Hello(request: object, metadata: Metadata, done: Done): void;
  Count(request: object): ClientReadableStream<Greeting>;
}

function connect(t: Cleanup, address: string): Greeter {
  const loaded = loadPackageDefinition(loadSync(repositoryFile('test/fixtures/greeter/greeter.proto'))) as unknown as {
    readonly greeter: { readonly v1: { readonly Greeter: new (...given: unknown[]) => Greeter } };
  };
  const client = new loaded.greeter.v1.Greeter(address, credentials.createInsecure());
  t.after(() => {
    client.close();
  });
  return client;
}

function hello(client: Greeter, name: string, metadata = new Metadata()): Promise<ServiceError | string> {
  return new Promise((resolve) => {
    client.Hello({ name }, metadata, (error, answer) => {
      resolve(error ?? String(answer?.text));
    });
  });
}

describe('a gRPC service of the user', () => {
  test('calls runners, fails by the rows of the catalogue, and ends with its client', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', fixture('greeter'), '--grpc', '--reflection']);
    const client = connect(t, (await primary.ready()).grpc);
    assert.equal(await hello(client, 'Ada'), 'Hello, Ada');

    const refused = (await hello(client, 'nobody')) as ServiceError;
    assert.deepEqual([refused.code, refused.details], [status.NOT_FOUND, 'NOT_FOUND: Cannot greet nobody']);
    const bug = (await hello(client, 'bug')) as ServiceError;
    assert.equal(bug.code, status.INTERNAL);
    assert.doesNotMatch(bug.details, /a bug/);
    const line = await primary.nextLog({ event: 'request.failed', route: '/greeter.v1.Greeter/Hello' });
    assert.match(JSON.stringify(line), /a bug/);

    const stream = client.Count({ name: 'n' });
    stream.on('error', () => undefined);
    const [first] = (await once(stream, 'data')) as [Greeting];
    assert.equal(first.text, 'Hello, n 0');
    stream.cancel();
    const end = await primary.nextLog({ event: 'request.finished', route: '/greeter.v1.Greeter/Count' });
    assert.equal(end['outcome'], 'CLIENT_GONE');
  });

  test('an interceptor that throws ends its call, and no worker', LIMIT, async (t) => {
    const primary = startPrimary(t, ['serve', fixture('greeter'), '--grpc']);
    const client = connect(t, (await primary.ready()).grpc);
    const metadata = new Metadata();
    metadata.set('x-throw', 'yes');
    for (let i = 0; i < 5; i += 1) {
      assert.equal(((await hello(client, 'Ada', metadata)) as ServiceError).code, status.INTERNAL);
      assert.equal(await hello(client, 'Ada'), 'Hello, Ada');
    }
    assert.deepEqual(
      primary.logs.filter(({ event }) => event === 'worker.died'),
      [],
    );
  });
});
