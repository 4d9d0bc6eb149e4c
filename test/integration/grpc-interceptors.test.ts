import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import {
  Metadata,
  ServerInterceptingCall,
  ServerListenerBuilder,
  ResponderBuilder,
  status,
  type ServerInterceptor,
  type ServiceError,
  type handleUnaryCall,
} from '@grpc/grpc-js';
import { rpcOf, serverStreaming, unary } from '#dist/grpc/rpc.js';
import { service as sample, startGrpc } from './grpc-harness.js';
import { pathOf, startBare, toBytes, toText, type Bare, type BareMethod } from './grpc-bare-harness.js';

interface Told {
  readonly error: ServiceError | null;
  readonly text: string | undefined;
}

function call(bare: Bare, text = 'x', name = 'Echo'): Promise<Told> {
  return new Promise((resolve) => {
    bare.client.makeUnaryRequest(pathOf(name), toBytes, toText, text, (error, answer) => {
      resolve({ error, text: answer });
    });
  });
}

const echo: BareMethod = { handler: (refuse) => unary((text: string) => text, refuse) };

function start(t: TestContext, ...interceptors: readonly ServerInterceptor[]): Promise<Bare> {
  return startBare(t, { Echo: echo }, { interceptors });
}

/** Writes down under a name what passes it. */
function noting(name: string, notes: string[]): ServerInterceptor {
  return (method, next) =>
    new ServerInterceptingCall(next, {
      start: (goOn) => {
        const listener = new ServerListenerBuilder()
          .withOnReceiveMetadata((metadata, pass) => {
            notes.push(`${name} metadata of ${method.path}`);
            pass(metadata);
          })
          .withOnReceiveMessage((message, pass) => {
            notes.push(`${name} message ${String(message)}`);
            pass(message);
          })
          .build();
        goOn(listener);
      },
      sendStatus: (given, pass) => {
        notes.push(`${name} status ${given.code}`);
        pass(given);
      },
    });
}

describe('interceptors of the user', () => {
  test('see every call, the first one first on the way in and last on the way out', async (t) => {
    const notes: string[] = [];
    const bare = await start(t, noting('first', notes), noting('second', notes));
    assert.equal((await call(bare, 'hi')).text, 'hi');
    assert.deepEqual(notes, [
      `first metadata of ${pathOf('Echo')}`,
      `second metadata of ${pathOf('Echo')}`,
      'first message hi',
      'second message hi',
      'second status 0',
      'first status 0',
    ]);
  });

  test('may change metadata, message, answer and status', async (t) => {
    let seen: unknown;
    const changing: ServerInterceptor = (_, next) =>
      new ServerInterceptingCall(next, {
        start: (goOn) => {
          const listener = new ServerListenerBuilder()
            .withOnReceiveMetadata((metadata, pass) => {
              const other = metadata.clone(); // another object: the RPC is found all the same
              other.set('x-tenant', 'a');
              pass(other);
            })
            .withOnReceiveMessage((message, pass) => {
              pass(`${String(message)} in`);
            })
            .build();
          goOn(listener);
        },
        sendMessage: (message, pass) => {
          pass(`${String(message)} out`);
        },
        sendStatus: (given, pass) => {
          pass({ ...given, code: status.OK });
        },
      });
    const bare = await startBare(
      t,
      {
        Echo: {
          handler:
            (refuse): handleUnaryCall<string, string> =>
            (given, respond) => {
              seen = [given.metadata.get('x-tenant'), rpcOf(given).route];
              unary((text: string) => text, refuse)(given, respond);
            },
        },
      },
      { interceptors: [changing] },
    );
    assert.equal((await call(bare, 'text')).text, 'text in out');
    assert.deepEqual(seen, [['a'], pathOf('Echo')]);
  });

  test('may refuse a call with a status of their own, which gets a code and a request id', async (t) => {
    let worked = 0;
    const refusing: ServerInterceptor = (_, next) =>
      new ServerInterceptingCall(next, {
        start: (goOn) => {
          goOn({
            onReceiveMetadata: () => {
              next.sendStatus({ code: status.UNAUTHENTICATED, details: 'who are you?', metadata: null });
            },
          });
        },
      });
    const bare = await startBare(
      t,
      {
        Echo: {
          handler: (refuse) =>
            unary((text: string) => {
              worked += 1;
              return text;
            }, refuse),
        },
      },
      { interceptors: [refusing] },
    );
    const { error } = await call(bare);
    assert.equal(error?.code, status.UNAUTHENTICATED);
    assert.equal(error.details, 'who are you?');
    assert.deepEqual(error.metadata.get('x-error-code'), ['UNAUTHENTICATED']);
    assert.equal(error.metadata.get('x-request-id').length, 1);
    assert.equal((await bare.record(1)).outcome, 'UNAUTHENTICATED');
    assert.equal(worked, 0);
  });

  const boom = (): never => {
    throw new Error('boom');
  };
  const throwing: Readonly<Record<string, ServerInterceptor>> = {
    'when it is made': boom,
    'when the call starts': (_, next) =>
      new ServerInterceptingCall(next, new ResponderBuilder().withStart(boom).build()),
    'at metadata': (_, next) =>
      new ServerInterceptingCall(next, {
        start: (goOn) => {
          goOn({ onReceiveMetadata: boom });
        },
      }),
    'at a message': (_, next) =>
      new ServerInterceptingCall(next, {
        start: (goOn) => {
          goOn({ onReceiveMessage: boom });
        },
      }),
    'at the half-close': (_, next) =>
      new ServerInterceptingCall(next, {
        start: (goOn) => {
          goOn({ onReceiveHalfClose: boom });
        },
      }),
    'when an answer is sent': (_, next) => new ServerInterceptingCall(next, { sendMessage: boom }),
    'when metadata are sent': (_, next) => new ServerInterceptingCall(next, { sendMetadata: boom }),
    'when a status is sent': (_, next) => new ServerInterceptingCall(next, { sendStatus: boom }),
    'as it gives no call': () => undefined as unknown as ServerInterceptingCall,
  };
  for (const [when, interceptor] of Object.entries(throwing)) {
    test(`that throw ${when} end their call with USER_CODE, and nothing else`, async (t) => {
      let isOn = true;
      const sometimes: ServerInterceptor = (method, next) =>
        isOn ? interceptor(method, next) : new ServerInterceptingCall(next);
      const bare = await start(t, sometimes);
      const { error } = await call(bare);
      assert.equal(error?.code, status.INTERNAL);
      assert.deepEqual(error.metadata.get('x-error-code'), ['USER_CODE']);
      assert.equal((await bare.record(1)).outcome, 'USER_CODE');
      isOn = false;
      assert.equal((await call(bare, 'again')).text, 'again');
    });
  }

  test('that throw at the end of a call harm nothing', async (t) => {
    const interceptor: ServerInterceptor = (_, next) =>
      new ServerInterceptingCall(next, {
        start: (goOn) => {
          goOn({ onCancel: boom });
        },
      });
    const bare = await start(t, interceptor);
    assert.equal((await call(bare, 'one')).text, 'one');
    assert.equal((await call(bare, 'two')).text, 'two');
    assert.deepEqual(
      bare.records.map(({ outcome }) => outcome),
      ['ok', 'ok'],
    );
  });

  test('that throw in the middle of a stream end its source', async (t) => {
    let count = 0;
    let isOver = false;
    const interceptor: ServerInterceptor = (_, next) =>
      new ServerInterceptingCall(next, {
        sendMessage: (message, pass) => {
          count += 1;
          if (count === 3) boom();
          pass(message);
        },
      });
    const Give: BareMethod = {
      responseStream: true,
      handler: (refuse) =>
        serverStreaming(async function* () {
          try {
            for (;;) yield await Promise.resolve('x');
          } finally {
            isOver = true;
          }
        }, refuse),
    };
    const bare = await startBare(t, { Give }, { interceptors: [interceptor] });
    const stream = bare.client.makeServerStreamRequest(pathOf('Give'), toBytes, toText, 'go', new Metadata());
    stream.on('error', () => undefined).resume();
    const code = await new Promise<unknown>((resolve) => {
      stream.on('status', ({ code: given }: { code: unknown }) => {
        resolve(given);
      });
    });
    assert.equal(code, status.INTERNAL);
    await bare.record(1);
    assert.equal(isOver, true);
  });
});

test('interceptors of a service run for the services of Jubako too, and a refused call never reaches them', async (t) => {
  const notes: string[] = [];
  const service = { ...sample, grpc: { interceptors: [noting('one', notes)] } };
  const grpc = await startGrpc(t, {
    service,
    others: {
      access: {
        isOpen: false,
        admit: (caller) => {
          if (caller.apiKey !== 'right') throw new Error('no');
        },
      },
    },
  });
  const client = grpc.connect();
  await client.call('ServerMetadata', {}, { metadata: { 'x-api-key': 'right' } });
  const before = notes.length;
  assert.ok(notes.includes('one metadata of /inference.GRPCInferenceService/ServerMetadata'));
  await assert.rejects(client.call('ServerMetadata'));
  assert.deepEqual(
    notes.slice(before).filter((note) => note.includes('metadata')),
    [],
  );
  await client.check(''); // probes know no key
});
