import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import {
  Client,
  Server,
  credentials,
  type ChannelOptions,
  type ServerInterceptor,
  type ServiceDefinition,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { JubakoError } from '#dist/errors.js';
import { Http2Front } from '#dist/grpc/http2-front.js';
import { guarded } from '#dist/grpc/protos.js';
import type { Refuse } from '#dist/grpc/rpc.js';
import { RpcRecorder } from '#dist/grpc/rpc-recorder.js';
import { toStatus } from '#dist/grpc/status.js';
import { Metrics } from '#dist/telemetry/metrics.js';
import type { RequestOutcome } from '#dist/telemetry/request-log.js';

/** The path from a connection to handlers and back, without the services of Jubako: each message is a text. */

export interface BareMethod {
  readonly requestStream?: boolean;
  readonly responseStream?: boolean;
  readonly handler: (refuse: Refuse) => UntypedHandleCall;
}

export interface BareOptions {
  readonly admit?: ConstructorParameters<typeof RpcRecorder>[0]['admit'];
  readonly interceptors?: readonly ServerInterceptor[];
  readonly endless?: readonly string[];
  readonly channel?: ChannelOptions;
  readonly maxConnectionAgeMs?: number;
  readonly maxConnectionAgeGraceMs?: number;
}

export interface Bare {
  readonly port: number;
  readonly client: Client;
  readonly front: Http2Front;
  readonly recorder: RpcRecorder;
  readonly records: RequestOutcome[];
  /** Errors that were refused, in that order. */
  readonly refused: JubakoError[];
  /** Taken so far. */
  connections(): number;
  /** Resolves with the record of this number, counted from 1. */
  record(number: number): Promise<RequestOutcome>;
}

/** A request of this text cannot be decoded, and an answer of this text cannot be encoded. */
export const BROKEN = 'broken';

export const toBytes = (text: string): Buffer => {
  if (text === BROKEN) throw new TypeError('the text is broken');
  return Buffer.from(text);
};

export const toText = (bytes: Buffer): string => {
  const text = bytes.toString();
  if (text === BROKEN) throw new TypeError('the bytes are broken');
  return text;
};

/** What a client needs to send any bytes. */
export const rawBytes = (text: string): Buffer => Buffer.from(text);

export const pathOf = (name: string): string => `/bare.Bare/${name}`;

export async function startBare(
  t: TestContext,
  methods: Readonly<Record<string, BareMethod>>,
  options: BareOptions = {},
): Promise<Bare> {
  const records: RequestOutcome[] = [];
  const refused: JubakoError[] = [];
  const waiting = new Set<() => void>();
  const refuse: Refuse = (thrown, rpc) => {
    const error = JubakoError.from(thrown);
    refused.push(error);
    return toStatus(error, rpc.requestId);
  };
  const recorder = new RpcRecorder({
    recordRequest: (outcome) => {
      records.push(outcome);
      for (const wake of waiting) wake();
    },
    inProgress: new Metrics().gauge('jubako_requests_in_progress', { protocol: 'grpc' }),
    refuse,
    admit: options.admit,
  });
  const server = new Server({
    'grpc.enable_channelz': 0,
    ...options.channel,
    interceptors: recorder.around(options.interceptors ?? []),
  });
  const definition = Object.fromEntries(
    Object.entries(methods).map(([name, { requestStream = false, responseStream = false }]) => [
      name,
      {
        path: pathOf(name),
        requestStream,
        responseStream,
        requestSerialize: toBytes,
        requestDeserialize: toText,
        responseSerialize: toBytes,
        responseDeserialize: toText,
      },
    ]),
  ) as ServiceDefinition;
  server.addService(
    guarded(definition, () => undefined),
    Object.fromEntries(Object.entries(methods).map(([name, { handler }]) => [name, handler(refuse)])),
  );
  recorder.addRoutes(Object.keys(methods).map(pathOf));
  recorder.addEndless((options.endless ?? []).map(pathOf));
  const front = new Http2Front(server, {
    maxConcurrentStreams: 0,
    maxConnectionAgeMs: options.maxConnectionAgeMs ?? 0,
    maxConnectionAgeGraceMs: options.maxConnectionAgeGraceMs ?? 0,
    onStream: recorder.onStream,
    onAged: (session) => {
      recorder.endEndless('The connection has reached its age', session);
    },
    onSessionError: () => undefined,
  });
  let connections = 0;
  const listener = createServer((socket) => {
    connections += 1;
    socket.on('error', () => undefined);
    front.inject(socket);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const client = new Client(`localhost:${port}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  t.after(() => {
    client.close();
    listener.close();
    front.cut();
    server.forceShutdown();
  });
  return {
    port,
    client,
    front,
    recorder,
    records,
    refused,
    connections: () => connections,
    record: (number) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = records[number - 1];
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
  };
}
