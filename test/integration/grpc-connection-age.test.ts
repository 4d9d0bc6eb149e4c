import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { describe, test, type TestContext } from 'node:test';
import { status, type StatusObject } from '@grpc/grpc-js';
import { jitteredAgeMs } from '#dist/grpc/http2-front.js';
import { serverStreaming, unary } from '#dist/grpc/rpc.js';
import { pathOf, startBare, toBytes, toText, type Bare, type BareMethod } from './grpc-bare-harness.js';

const HIGHEST = 2 ** 31 - 1;

/** An RPC whose answer the test gives. */
class Held {
  readonly #answers: (() => void)[] = [];
  #wake: () => void = () => undefined;
  readonly method: BareMethod = {
    handler: (refuse) =>
      unary(
        (text: string) =>
          new Promise<string>((resolve) => {
            this.#answers.push(() => {
              resolve(text);
            });
            this.#wake();
          }),
        refuse,
      ),
  };

  arrived(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = (): void => {
        if (this.#answers.length >= count) resolve();
      };
      this.#wake();
    });
  }

  answerAll(): void {
    for (const answer of this.#answers) answer();
  }
}

function open(t: TestContext, bare: Bare): { readonly session: http2.ClientHttp2Session; readonly goaways: number[] } {
  const session = http2.connect(`http://127.0.0.1:${bare.port}`);
  session.on('error', () => undefined);
  t.after(() => {
    session.destroy();
  });
  const goaways: number[] = [];
  session.on('goaway', (_code: number, lastStreamId: number) => goaways.push(lastStreamId));
  return { session, goaways };
}

function send(session: http2.ClientHttp2Session, name: string): http2.ClientHttp2Stream {
  const headers = { ':method': 'POST', ':path': pathOf(name), 'content-type': 'application/grpc', te: 'trailers' };
  const stream = session.request(headers);
  stream.on('error', () => undefined);
  stream.end(Buffer.from([0, 0, 0, 0, 1, 120]));
  return stream;
}

describe('a connection that has reached its age', () => {
  test('without calls is told to go and closed', async (t) => {
    const bare = await startBare(t, { Held: new Held().method }, { maxConnectionAgeMs: 30 });
    const { session, goaways } = open(t, bare);
    await once(session, 'close');
    assert.deepEqual(goaways.slice(0, 1), [0]);
  });

  test('with a call is told to go in two steps, answers the call, and closes then', async (t) => {
    const held = new Held();
    const bare = await startBare(t, { Held: held.method }, { maxConnectionAgeMs: 200 });
    const { session, goaways } = open(t, bare);
    const stream = send(session, 'Held');
    await held.arrived(1);
    await once(session, 'goaway');
    const closed = once(session, 'close');
    held.answerAll();
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
    assert.equal(headers[':status'], 200);
    stream.resume();
    await closed;
    assert.deepEqual(goaways.slice(0, 2), [HIGHEST, 1]);
    assert.equal((await bare.record(1)).outcome, 'ok');
  });

  test('is cut when its grace is over, and what it cuts is recorded as DRAINING', async (t) => {
    const held = new Held();
    const bare = await startBare(t, { Held: held.method }, { maxConnectionAgeMs: 100, maxConnectionAgeGraceMs: 20 });
    const { session } = open(t, bare);
    send(session, 'Held');
    await Promise.all([held.arrived(1), once(session, 'close')]);
    const record = await bare.record(1);
    assert.deepEqual([record.outcome, record.status], ['DRAINING', status.UNAVAILABLE]);
  });

  test('ends its calls without an end, so that it can close', async (t) => {
    const Watch: BareMethod = {
      responseStream: true,
      handler: (refuse) =>
        serverStreaming(async function* (text: string) {
          yield text;
          await new Promise(() => undefined);
        }, refuse),
    };
    const bare = await startBare(t, { Watch }, { maxConnectionAgeMs: 200, endless: ['Watch'] });
    const stream = bare.client.makeServerStreamRequest(pathOf('Watch'), toBytes, toText, 'x');
    stream.on('error', () => undefined).resume();
    const { code, details } = await new Promise<StatusObject>((resolve) => {
      stream.on('status', resolve);
    });
    assert.equal(code, status.UNAVAILABLE);
    assert.match(details, /^DRAINING: The connection has reached its age/);
  });

  test('costs a grpc-js client no call', async (t) => {
    const echo: BareMethod = { handler: (refuse) => unary((text: string) => text, refuse) };
    const bare = await startBare(t, { Echo: echo }, { maxConnectionAgeMs: 20 });
    for (let i = 0; bare.connections() < 5; i += 1) {
      const text = await new Promise((resolve, reject) => {
        bare.client.makeUnaryRequest(pathOf('Echo'), toBytes, toText, String(i), (error, given) => {
          if (error === null) resolve(given);
          else reject(error);
        });
      });
      assert.equal(text, String(i));
    }
  });
});

test('ages differ by up to 10 % each way', () => {
  assert.deepEqual(
    [0, 0.5, 1].map((random) => Math.round(jitteredAgeMs(1_000_000, random))),
    [900_000, 1_000_000, 1_100_000],
  );
});
