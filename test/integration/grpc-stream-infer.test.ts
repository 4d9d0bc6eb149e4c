import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import { Metadata, status, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js';
import { JubakoError } from '#dist/errors.js';
import type { Invoker, RunnerCall } from '#dist/service/invoke.js';
import type { Message } from './grpc-harness.js';
import { gate } from './http-harness.js';
import { startInference, type InferenceOptions, type InferenceServers } from './inference-harness.js';

interface StreamAnswer {
  readonly error_message: string;
  readonly infer_response: Message & {
    readonly id: string;
    readonly parameters: Readonly<Record<string, { readonly bool_param: boolean }>>;
    readonly outputs: readonly { readonly contents: { readonly bytes_contents: readonly Buffer[] } }[];
  };
}

class InferStream {
  readonly call: ClientDuplexStream<Message, StreamAnswer>;
  readonly answers: AsyncIterator<StreamAnswer>;

  constructor({ grpc }: InferenceServers) {
    const { inference } = grpc.connect();
    const open = (inference as unknown as Record<string, (metadata: Metadata) => InferStream['call']>)[
      'ModelStreamInfer'
    ];
    assert.ok(open !== undefined);
    this.call = open.call(inference, new Metadata());
    this.answers = this.call[Symbol.asyncIterator]() as AsyncIterator<StreamAnswer>;
  }

  /** Waits until it is written: requests arrive in this order. */
  send(model: string, id: string, document: unknown, parameters: Message = {}): void {
    const contents = { bytes_contents: [Buffer.from(JSON.stringify(document))] };
    const input = { name: 'input', datatype: 'BYTES', shape: [1], contents };
    this.call.write({ model_name: model, id, parameters, inputs: [input] });
  }

  async next(): Promise<StreamAnswer> {
    const result = await this.answers.next();
    assert.ok(result.done !== true, 'the stream has ended');
    return result.value;
  }

  /** Ends the requests and gives the answers that are left. */
  async rest(): Promise<readonly StreamAnswer[]> {
    this.call.end();
    const answers: StreamAnswer[] = [];
    for (;;) {
      const result = await this.answers.next();
      if (result.done === true) return answers;
      answers.push(result.value);
    }
  }
}

async function start(t: TestContext, options: InferenceOptions = {}): Promise<InferStream> {
  return new InferStream(await startInference(t, options));
}

/** `id: document`, `id: !error`, `id: (empty)`, with a full stop behind where it is the last one to its request. */
function brief({ error_message: error, infer_response: response }: StreamAnswer): string {
  const [output] = response.outputs;
  const text = output === undefined ? '(empty)' : String(output.contents.bytes_contents[0]);
  const isFinal = response.parameters['triton_final_response']?.bool_param;
  return `${response.id}: ${error === '' ? text : `!${error}`}${isFinal === true ? '.' : ''}`;
}

describe('ModelStreamInfer', () => {
  test('answers each request of a model that gives one value, in order', async (t) => {
    const stream = await start(t);
    stream.send('words', 'a', 1);
    assert.equal(brief(await stream.next()), 'a: 1.');
    stream.send('words', 'b', 2);
    stream.send('words', 'c', 3);
    assert.deepEqual((await stream.rest()).map(brief), ['b: 2.', 'c: 3.']);
  });

  test('gives every value of a model that streams, and an empty last answer where that is asked for', async (t) => {
    const stream = await start(t);
    stream.send('tokens', 'a', 3);
    stream.send('tokens.generate', 'b', 1, { triton_enable_empty_final_response: { bool_param: true } });
    stream.send('tokens', 'c', 0, { triton_enable_empty_final_response: { bool_param: true } });
    stream.send('words', 'd', 'x');
    const answers = await stream.rest();
    assert.deepEqual(answers.map(brief), ['a: 1', 'a: 2', 'a: 3', 'b: 1', 'b: (empty).', 'c: (empty).', 'd: "x".']);
    const [first] = answers;
    assert.deepEqual([first?.infer_response['model_name'], first?.infer_response['model_version']], ['tokens', '7']);
  });

  test('works on requests at the same time, and answers in the order in which they came', async (t) => {
    const slow = gate<unknown>();
    const quickIsDone = gate();
    const callRunner: Invoker['callRunner'] = ({ input }) => {
      if (input === 'slow') return slow.promise;
      quickIsDone.open();
      return Promise.resolve(input);
    };
    const stream = await start(t, { invoker: { callRunner } });
    stream.send('words', 'a', 'slow');
    stream.send('words', 'b', 'quick');
    await quickIsDone.promise;
    slow.open('late');
    assert.deepEqual((await stream.rest()).map(brief), ['a: "late".', 'b: "quick".']);
  });

  test('answers a request that fails by error_message, and goes on', async (t) => {
    const stream = await start(t, {
      invoker: {
        callRunner: ({ input }) =>
          input === 'bad' ? Promise.reject(new JubakoError('USER_CODE', 'the inside')) : Promise.resolve(input),
        async *streamRunner({ input }) {
          yield await Promise.resolve(input);
          throw new JubakoError('QUEUE_FULL', 'no room');
        },
      },
    });
    stream.send('nope', 'a', 1);
    stream.send('words', 'b', 'bad');
    stream.send('tokens', 'c', 5);
    stream.send('words', 'd', 'good');
    const answers = (await stream.rest()).map(brief);
    assert.match(String(answers[0]), /^a: !NOT_FOUND: Cannot find the model "nope".*\.$/);
    assert.match(String(answers[1]), /^b: !USER_CODE: The code of the service failed.*\.$/);
    assert.deepEqual(answers.slice(2), ['c: 5', 'c: !QUEUE_FULL: no room.', 'd: "good".']);
  });

  test('counts every request against maxConcurrency', async (t) => {
    const begun = gate();
    const held = gate<unknown>();
    const servers = await startInference(t, {
      config: { maxConcurrency: 1 },
      invoker: {
        callRunner: () => {
          begun.open();
          return held.promise;
        },
        streamRunner: () => assert.fail('was let in'),
      },
    });
    const first = new InferStream(servers);
    first.send('words', 'a', 1);
    await begun.promise;
    const second = new InferStream(servers);
    second.send('tokens', 'b', 1);
    second.send('words', 'c', 1);
    for (const answer of await second.rest()) assert.match(brief(answer), /^[bc]: !QUEUE_FULL: /);
    held.open('done');
    assert.deepEqual((await first.rest()).map(brief), ['a: "done".']);
  });

  test('takes what a model gives only when the client reads', async (t) => {
    let given = 0;
    const row = 'x'.repeat(100_000);
    const stream = await start(t, {
      invoker: {
        async *streamRunner() {
          for (; given < 1000; given += 1) yield await Promise.resolve(row);
        },
      },
    });
    stream.call.pause();
    stream.send('tokens', 'a', 1);
    assert.equal(brief(await stream.next()), `a: "${row}"`);
    assert.ok(given < 200, `${given} values were taken for a client that has read one`);
    stream.call.cancel();
    await assert.rejects(async () => {
      for (;;) await stream.next();
    });
  });

  test('a client that leaves ends what is worked on for it', async (t) => {
    const calls: RunnerCall[] = [];
    const begun = gate();
    const ended = gate();
    const stream = await start(t, {
      invoker: {
        callRunner: (call) => {
          calls.push(call);
          if (calls.length === 2) begun.open();
          return new Promise((_resolve, reject) => {
            call.cancellation.signal.addEventListener('abort', () => {
              reject(new JubakoError('CLIENT_GONE', 'gone'));
              ended.open();
            });
          });
        },
      },
    });
    stream.call.on('error', () => undefined);
    stream.send('words', 'a', 1);
    stream.send('words', 'b', 2);
    await begun.promise;
    stream.call.cancel();
    await ended.promise;
    assert.deepEqual(
      calls.map(({ cancellation }) => cancellation.reason?.code),
      ['CLIENT_GONE', 'CLIENT_GONE'],
    );
  });

  test('ends with the requests, also when there were none', async (t) => {
    const stream = await start(t);
    assert.deepEqual(await stream.rest(), []);
  });

  test('the parameter timeout ends its own request only', async (t) => {
    const deadlines: (number | undefined)[] = [];
    const stream = await start(t, {
      invoker: {
        callRunner: ({ deadlineAtMs, input }) => {
          deadlines.push(deadlineAtMs);
          return Promise.resolve(input);
        },
      },
    });
    stream.send('words', 'a', 1, { timeout: { int64_param: 90_000_000 } });
    stream.send('words', 'b', 1);
    await stream.rest();
    assert.ok(typeof deadlines[0] === 'number');
    assert.equal(deadlines[1], undefined);
  });

  test('a server that drains answers what it has begun, then ends the stream as one to come back to', async (t) => {
    const begun = gate();
    const held = gate<unknown>();
    const callRunner: Invoker['callRunner'] = () => {
      begun.open();
      return held.promise;
    };
    const servers = await startInference(t, { invoker: { callRunner } });
    const stream = new InferStream(servers);
    stream.send('words', 'a', 1);
    await begun.promise;
    const drained = servers.grpc.server.drain(20_000);
    held.open('done');
    assert.equal(brief(await stream.next()), 'a: "done".');
    await assert.rejects(stream.next(), (thrown) => {
      const { code, metadata } = thrown as ServiceError;
      assert.equal(code, status.UNAVAILABLE);
      assert.deepEqual(metadata.get('x-error-code'), ['DRAINING']);
      return true;
    });
    await drained;
  });

  test('a message that is none ends the stream as the fault of the client', async (t) => {
    const { grpc } = await startInference(t);
    const { inference } = grpc.connect();
    const call = inference.makeBidiStreamRequest(
      '/inference.GRPCInferenceService/ModelStreamInfer',
      (value: Buffer) => value,
      (value: Buffer) => value,
    );
    call.write(Buffer.from([0x2a, 0xff, 0xff]));
    call.resume();
    const [error] = (await once(call, 'error')) as [ServiceError];
    assert.deepEqual(error.metadata.get('x-error-code'), ['INVALID_INPUT']);
  });
});
