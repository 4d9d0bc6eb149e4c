import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { connect, type Socket } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { status, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js';
import type { JubakoError } from '#dist/errors.js';
import type { RunnerCall } from '#dist/service/invoke.js';
import type { Readiness } from '#dist/service/protocol-server.js';
import { startGrpc, type Harness, type Message, type SampleClient } from './grpc-harness.js';

const REQUEST = {
  model_name: 'echo.float32',
  inputs: [{ name: 'input', datatype: 'FP32', shape: [1, 2], contents: { fp32_contents: [1, 2] } }],
};

/** A runner whose calls stay open until the test answers them. */
class HeldRunner {
  readonly calls: { readonly call: RunnerCall; readonly answer: (output: unknown) => void }[] = [];
  #onCall: (() => void) | undefined;

  readonly callRunner = (call: RunnerCall): Promise<unknown> =>
    new Promise((resolve) => {
      this.calls.push({ call, answer: resolve });
      this.#onCall?.();
    });

  /** Resolves when so many calls have arrived. */
  arrived(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#onCall = (): void => {
        if (this.calls.length >= count) resolve();
      };
      this.#onCall();
    });
  }

  answerAll(): void {
    for (const { call, answer } of this.calls) answer(call.input);
  }
}

function watch(client: SampleClient, service: string): ClientReadableStream<Message> {
  const health = client.health as unknown as { Watch(request: Message): ClientReadableStream<Message> };
  return health.Watch({ service });
}

async function next(stream: ClientReadableStream<Message>): Promise<unknown> {
  const [message] = (await once(stream, 'data')) as [Message];
  return message['status'];
}

function gauge(grpc: Harness, name: string): number | undefined {
  return grpc.metrics.takeDelta().gauges[`${name}{protocol="grpc"}`];
}

/** Sends REQUEST over a bare HTTP/2 session. */
function startRawInfer(
  t: TestContext,
  port: number,
  headers: http2.OutgoingHttpHeaders = {},
): { readonly session: http2.ClientHttp2Session; readonly stream: http2.ClientHttp2Stream } {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  t.after(() => {
    session.destroy();
  });
  const path = '/inference.GRPCInferenceService/ModelInfer';
  const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', ...headers });
  const contents = lengthPrefixed(0x32, Buffer.from(Float32Array.of(1, 2).buffer)); // fp32_contents
  const input = Buffer.concat([
    lengthPrefixed(0x0a, Buffer.from('input')),
    lengthPrefixed(0x12, Buffer.from('FP32')),
    lengthPrefixed(0x1a, Buffer.from([1, 2])), // shape
    lengthPrefixed(0x2a, contents),
  ]);
  const message = Buffer.concat([lengthPrefixed(0x0a, Buffer.from('echo.float32')), lengthPrefixed(0x2a, input)]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([head, message]));
  return { session, stream };
}

/** A protobuf field of up to 127 bytes. */
function lengthPrefixed(tag: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag, bytes.length]), bytes]);
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

describe('a call', () => {
  test('carries request id, deadline on the monotonic clock and an open signal to the invoker', async (t) => {
    const runner = new HeldRunner();
    const grpc = await startGrpc(t, runner);
    const answer = grpc.connect().infer(REQUEST, { deadlineMs: 60_000, metadata: { 'x-request-id': 'r-9' } });
    await runner.arrived(1);
    const call = runner.calls[0]?.call as RunnerCall;
    assert.equal(call.requestId, 'r-9');
    assert.equal(call.runner, 'echo');
    assert.equal(call.method, 'float32');
    assert.equal(call.cancellation.signal.aborted, false);
    const leftMs = (call.deadlineAtMs ?? NaN) - performance.now();
    assert.ok(leftMs > 0 && leftMs <= 60_000, `${leftMs} ms left of 60000`);
    runner.answerAll();
    await answer;
    assert.equal(call.cancellation.signal.aborted, false);
  });

  test('has no deadline where the client set none', async (t) => {
    const runner = new HeldRunner();
    const grpc = await startGrpc(t, runner);
    const answer = grpc.connect().infer(REQUEST);
    await runner.arrived(1);
    assert.equal(runner.calls[0]?.call.deadlineAtMs, undefined);
    runner.answerAll();
    await answer;
  });

  test('that the client cancels aborts its signal and is recorded once as CLIENT_GONE', async (t) => {
    const runner = new HeldRunner();
    const grpc = await startGrpc(t, runner);
    let cancel: (() => void) | undefined;
    const answer = grpc.connect().infer(REQUEST, {
      onCall: (call) => {
        cancel = (): void => {
          call.cancel();
        };
      },
    });
    const refused = assert.rejects(answer, { code: status.CANCELLED });
    await runner.arrived(1);
    const signal = runner.calls[0]?.call.cancellation.signal as AbortSignal;
    const aborted = once(signal, 'abort');
    cancel?.();
    await Promise.all([refused, aborted]);
    assert.equal((signal.reason as JubakoError).code, 'CLIENT_GONE');
    const record = await grpc.record(1);
    assert.deepEqual([record.outcome, record.status], ['CLIENT_GONE', status.CANCELLED]);
    runner.answerAll(); // too late: must neither throw nor be recorded again
    await grpc.connect().call('ServerLive');
    assert.equal(grpc.records.length, 2);
  });

  test('whose connection breaks aborts its signal', async (t) => {
    const runner = new HeldRunner();
    const grpc = await startGrpc(t, runner);
    const { session } = startRawInfer(t, grpc.port);
    await runner.arrived(1);
    const aborted = once(runner.calls[0]?.call.cancellation.signal as AbortSignal, 'abort');
    session.destroy();
    await aborted;
    assert.equal((await grpc.record(1)).outcome, 'CLIENT_GONE');
    runner.answerAll();
  });

  test('past its deadline ends with DEADLINE_EXCEEDED and an aborted signal', async (t) => {
    const runner = new HeldRunner();
    const grpc = await startGrpc(t, runner);
    // Not by a grpc-js client: it would cancel at the same moment, and either side may be first.
    const { stream } = startRawInfer(t, grpc.port, { 'grpc-timeout': '300m' });
    await runner.arrived(1);
    const signal = runner.calls[0]?.call.cancellation.signal as AbortSignal;
    const [[headers]] = (await Promise.all([once(stream, 'response'), once(signal, 'abort')])) as [[Message], unknown];
    assert.equal(headers['grpc-status'], String(status.DEADLINE_EXCEEDED));
    assert.equal((signal.reason as JubakoError).code, 'DEADLINE_EXCEEDED');
    stream.resume();
    const record = await grpc.record(1);
    assert.deepEqual([record.outcome, record.status], ['DEADLINE_EXCEEDED', status.DEADLINE_EXCEEDED]);
  });

  test('is recorded once with its RPC path, also when the RPC is unknown or the content type wrong', async (t) => {
    const grpc = await startGrpc(t);
    const client = grpc.connect();
    await client.infer(REQUEST);
    const bytes = (value: Buffer): Buffer => value;
    const code = await new Promise((resolve) => {
      client.inference.makeUnaryRequest('/no.Such/Rpc', bytes, bytes, Buffer.alloc(0), (error) => {
        resolve(error?.code);
      });
    });
    assert.equal(code, status.UNIMPLEMENTED);
    const session = http2.connect(`http://127.0.0.1:${grpc.port}`);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'text/plain',
    });
    stream.resume().end();
    await once(stream, 'close');
    session.close();
    await grpc.record(3);
    assert.deepEqual(
      grpc.records.map(({ protocol, route, status: number, outcome }) => [protocol, route, number, outcome]),
      [
        ['grpc', '/inference.GRPCInferenceService/ModelInfer', status.OK, 'ok'],
        ['grpc', '(unknown)', status.UNIMPLEMENTED, 'NOT_FOUND'],
        ['grpc', '/grpc.health.v1.Health/Check', status.INVALID_ARGUMENT, 'UNSUPPORTED_MEDIA'],
      ],
    );
    assert.equal(gauge(grpc, 'jubako_requests_in_progress'), 0);
  });

  test('beyond maxConcurrency is refused with QUEUE_FULL, while health answers', async (t) => {
    const runner = new HeldRunner();
    const grpc = await startGrpc(t, { callRunner: runner.callRunner, config: { maxConcurrency: 1 } });
    const client = grpc.connect();
    const first = client.infer(REQUEST);
    await runner.arrived(1);
    await assert.rejects(client.infer(REQUEST), (thrown) => {
      const error = thrown as ServiceError;
      assert.equal(error.code, status.RESOURCE_EXHAUSTED);
      assert.match(error.details, /^QUEUE_FULL: .*the limit is 1$/);
      return true;
    });
    assert.equal((await client.check('')).response['status'], 'SERVING');
    assert.deepEqual((await client.call('ServerReady')).response, { ready: true });
    runner.answerAll();
    await first;
    const again = client.infer(REQUEST); // the place is free again
    await runner.arrived(2);
    runner.answerAll();
    await again;
  });
});

describe('a connection', () => {
  test('with bytes that are not HTTP/2 is closed and leaves the others alone', async (t) => {
    const runner = new HeldRunner();
    const grpc = await startGrpc(t, runner);
    const client = grpc.connect();
    const answer = client.infer(REQUEST);
    await runner.arrived(1);
    const noise = await open(grpc.port);
    noise.resume().write(Buffer.alloc(256, 0xaa));
    await once(noise, 'close');
    runner.answerAll();
    await answer;
    assert.equal((await client.check('')).response['status'], 'SERVING');
    assert.ok(grpc.logs.some((line) => line['event'] === 'connection.failed' && line['level'] === 20));
  });

  test('is counted from accept to close', async (t) => {
    const grpc = await startGrpc(t);
    const client = grpc.connect();
    await client.call('ServerLive');
    assert.equal(grpc.server.connections, 1);
    assert.equal(gauge(grpc, 'jubako_connections'), 1);
    await client.check('');
    assert.equal(grpc.server.connections, 2);
    await grpc.server.drain(30_000);
    assert.equal(grpc.server.connections, 0);
    assert.equal(gauge(grpc, 'jubako_connections'), 0);
  });
});

describe('health', () => {
  test('Check knows the server, the inference service and every runner', async (t) => {
    let readiness: Readiness = { ready: true };
    const client = (await startGrpc(t, { readiness: () => readiness })).connect();
    for (const name of ['', 'inference.GRPCInferenceService', 'echo', 'words']) {
      assert.equal((await client.check(name)).response['status'], 'SERVING', name);
    }
    readiness = { ready: false, reason: 'runner "echo" is not connected' };
    assert.equal((await client.check('')).response['status'], 'NOT_SERVING');
    await assert.rejects(client.check('nope'), { code: status.NOT_FOUND });
  });

  test('Watch tells each change, and SERVICE_UNKNOWN for a name that is not served', async (t) => {
    let readiness: Readiness = { ready: false, reason: 'warming up' };
    const client = (await startGrpc(t, { readiness: () => readiness })).connect();
    const stream = watch(client, '');
    stream.on('error', () => undefined);
    assert.equal(await next(stream), 'NOT_SERVING');
    readiness = { ready: true };
    assert.equal(await next(stream), 'SERVING');
    stream.cancel();
    const unknown = watch(client, 'nope');
    unknown.on('error', () => undefined);
    assert.equal(await next(unknown), 'SERVICE_UNKNOWN');
    unknown.cancel();
  });
});

describe('drain', () => {
  test('turns health NOT_SERVING first, answers what is in flight, then closes', async (t) => {
    const runner = new HeldRunner();
    const grpc = await startGrpc(t, runner);
    const client = grpc.connect();
    const watched = watch(client, '');
    const ended = once(watched, 'error');
    assert.equal(await next(watched), 'SERVING');
    const inFlight = client.infer(REQUEST);
    await runner.arrived(1);

    const drained = grpc.server.drain(30_000);
    assert.equal(grpc.server.drain(1), drained, 'asking twice is asking once');
    assert.equal(await next(watched), 'NOT_SERVING');
    const [end] = (await ended) as [ServiceError];
    assert.equal(end.code, status.UNAVAILABLE);
    runner.answerAll();
    const { response } = await inFlight;
    assert.equal(response['model_name'], 'echo.float32');
    await drained;
    assert.equal(grpc.server.connections, 0);
    const infer = grpc.records.find((record) => record.route.endsWith('ModelInfer'));
    assert.equal(infer?.outcome, 'ok');
  });

  test('answers a stream that was on its way when the first GOAWAY was sent', async (t) => {
    const runner = new HeldRunner();
    const grpc = await startGrpc(t, runner);
    const { session, stream } = startRawInfer(t, grpc.port);
    await runner.arrived(1);
    const goaways: number[] = [];
    session.on('goaway', (_code: number, lastStreamId: number) => goaways.push(lastStreamId));
    const path = '/inference.GRPCInferenceService/ServerLive';
    const late = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' });
    await setImmediate(); // by then it is sent, and not yet read by the server
    const drained = grpc.server.drain(30_000);
    late.end(Buffer.alloc(5)); // an empty message
    const [headers] = (await once(late, 'response')) as [Message];
    assert.equal(headers[':status'], 200);
    late.resume();
    await once(late, 'close');
    runner.answerAll();
    stream.resume();
    await drained;
    assert.deepEqual(goaways.slice(0, 2), [2 ** 31 - 1, 3]);
    assert.deepEqual(
      grpc.records.map((record) => record.outcome),
      ['ok', 'ok'],
    );
  });

  test('cuts what is left after the grace period and records it as DRAINING', async (t) => {
    const runner = new HeldRunner();
    const grpc = await startGrpc(t, runner);
    const refused = assert.rejects(grpc.connect().infer(REQUEST));
    await runner.arrived(1);
    const signal = runner.calls[0]?.call.cancellation.signal as AbortSignal;
    await grpc.server.drain(10);
    assert.equal(grpc.server.connections, 0);
    await refused;
    const record = await grpc.record(1);
    assert.deepEqual([record.outcome, record.status], ['DRAINING', status.UNAVAILABLE]);
    assert.equal(signal.aborted, true);
    assert.ok(grpc.logs.some((line) => line['event'] === 'drain.cut'));
  });

  test('sends clients away that connect while it goes on', async (t) => {
    const runner = new HeldRunner();
    const grpc = await startGrpc(t, runner);
    const inFlight = grpc.connect().infer(REQUEST);
    await runner.arrived(1);
    const drained = grpc.server.drain(30_000);
    const late = http2.connect(`http://127.0.0.1:${grpc.port}`);
    await once(late, 'goaway');
    await once(late, 'close');
    runner.answerAll();
    await Promise.all([inFlight, drained]);
  });
});
