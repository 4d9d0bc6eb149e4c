import { once } from 'node:events';
import { createServer, type AddressInfo, type Server as NetServer } from 'node:net';
import type { TestContext } from 'node:test';
import type { TlsOptions } from 'node:tls';
import { fileURLToPath } from 'node:url';
import {
  Metadata,
  credentials,
  loadPackageDefinition,
  type ChannelCredentials,
  type ChannelOptions,
  type Client,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath as healthProtoPath } from 'grpc-health-check';
import { pino } from 'pino';
import type { ServerConfig } from '#dist/config/settings.js';
import { createGrpcServer } from '#dist/grpc/grpc-server.js';
import { json, tensor, tensors } from '#dist/service/index.js';
import { defineRunner, defineService, type ServiceDefinition } from '#dist/service/define.js';
import type { ApiCall, Invoker, RunnerCall } from '#dist/service/invoke.js';
import type { Manifest } from '#dist/service/manifest.js';
import type { ProtocolServer, ProtocolServerOptions, Readiness } from '#dist/service/protocol-server.js';
import { Metrics } from '#dist/telemetry/metrics.js';
import type { RequestOutcome } from '#dist/telemetry/request-log.js';
import { DTYPES, type Dtype } from '#dist/tensor/index.js';
import { methodManifest, runnerManifest } from '../support/manifests.js';
import { contentOf } from '../support/api-input.js';
import { otherOptions, partialInvoker } from '../support/protocol-options.js';

/** Starts a gRPC server with a fake invoker behind a real listening socket, and real grpc-js clients in front. */

export const ALL_DTYPES = Object.keys(DTYPES) as Dtype[];

const run = (): never => {
  throw new Error('never runs: the invoker is a fake');
};

/** `echo.<dtype>` for every dtype, `pair` with two named tensors, `words` with JSON. */
export const service: ServiceDefinition = defineService({
  name: 'sample',
  version: '7',
  runners: [
    defineRunner({
      name: 'echo',
      load: () => null,
      methods: Object.fromEntries(
        ALL_DTYPES.map((dtype) => [dtype, { input: tensor(dtype, [-1, 2]), output: tensor(dtype, [-1, 2]), run }]),
      ),
    }),
    defineRunner({
      name: 'pair',
      load: () => null,
      methods: {
        other: { input: json(), output: json(), run },
        predict: {
          input: tensors({ ids: tensor('int64', [-1, 2]), mask: tensor('bool', [-1, 2]) }),
          output: tensors({ ids: tensor('int64', [-1, 2]), mask: tensor('bool', [-1, 2]) }),
          run,
        },
      },
    }),
    defineRunner({ name: 'words', load: () => null, methods: { count: { input: json(), output: json(), run } } }),
    defineRunner({
      name: 'embed',
      load: () => null,
      methods: { text: { input: json(), output: tensor('float32', [-1, 2]), run } },
    }),
  ],
  apis: {},
});

export function manifestOf(definition: ServiceDefinition): Manifest {
  return {
    name: definition.name,
    version: definition.version ?? '1',
    apis: Object.entries(definition.apis).map(([name, api]) => ({
      name,
      route: `/${name}`,
      input: api.input.spec,
      output: api.output.spec,
    })),
    runners: definition.runners.map(({ name, methods, model }) =>
      runnerManifest({
        name,
        model: model ?? null,
        methods: Object.entries(methods).map(([method, { input, output }]) =>
          methodManifest({ name: method, input: input.spec, output: output.spec, idempotent: true }),
        ),
      }),
    ),
    mounts: [],
    unavailable: [],
  };
}

const CONFIG: Partial<ServerConfig> = {
  maxConcurrency: 0,
  reflection: false,
  channelz: false,
  maxConcurrentStreams: 0,
  maxMessageLength: -1,
  maxConnectionAge: 0,
  maxConnectionAgeGrace: 0,
  protocolVersion: 'v1',
};

export interface HarnessOptions {
  readonly config?: Partial<ServerConfig>;
  readonly callRunner?: (call: RunnerCall) => Promise<unknown>;
  readonly callApi?: (call: ApiCall) => Promise<unknown>;
  readonly invoker?: Partial<Invoker>;
  /** More options of the server, or others than those of the harness. */
  readonly others?: Partial<ProtocolServerOptions>;
  readonly readiness?: () => Readiness;
  readonly tls?: TlsOptions;
  readonly service?: ServiceDefinition;
}

export interface Harness {
  readonly server: ProtocolServer;
  readonly port: number;
  readonly metrics: Metrics;
  /** Every call to `recordRequest` so far. */
  readonly records: RequestOutcome[];
  /** Every log line so far, parsed. */
  readonly logs: Record<string, unknown>[];
  /** Resolves with the record of this number, counted from 1. */
  record(number: number): Promise<RequestOutcome>;
  /** A client with connections of its own; closed after the test. */
  connect(options?: ClientOptions): SampleClient;
}

export interface ClientOptions {
  readonly credentials?: ChannelCredentials;
  readonly channel?: ChannelOptions;
}

const ECHO: Invoker['callRunner'] = (call) => Promise.resolve(call.input);

export async function startGrpc(t: TestContext, options: HarnessOptions = {}): Promise<Harness> {
  const records: RequestOutcome[] = [];
  const logs: Record<string, unknown>[] = [];
  const waiting = new Set<() => void>();
  const definition = options.service ?? service;
  const metrics = new Metrics();
  const server = await createGrpcServer({
    service: definition,
    manifest: manifestOf(definition),
    config: { ...CONFIG, ...options.config } as ServerConfig,
    invoker: partialInvoker({
      callRunner: options.callRunner ?? ECHO,
      callApi: options.callApi ?? ((call) => Promise.resolve(contentOf(call.input))),
      ...options.invoker,
    }),
    tls: options.tls,
    logger: pino(
      { level: 'trace' },
      { write: (line: string) => logs.push(JSON.parse(line) as Record<string, unknown>) },
    ),
    metrics,
    recordRequest: (outcome) => {
      records.push(outcome);
      for (const wake of waiting) wake();
    },
    readiness: async (): Promise<Readiness> => options.readiness?.() ?? { ready: true },
    metricsText: () => Promise.resolve(''),
    worker: 'grpc-0',
    ...otherOptions(),
    ...options.others,
  });
  const listener: NetServer = createServer((socket) => {
    server.accept(socket);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const clients: Client[] = [];
  t.after(async () => {
    for (const client of clients) client.close();
    listener.close();
    await server.drain(0);
  });
  return {
    server,
    port,
    metrics,
    records,
    logs,
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
    connect: (given = {}) => {
      const client = new SampleClient(port, given);
      clients.push(...client.all);
      return client;
    },
  };
}

const PROTO_FOLDER = fileURLToPath(new URL('../../src/grpc/proto/', import.meta.url));
const PROTOS = loadSync([healthProtoPath, `${PROTO_FOLDER}inference.proto`], {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
});
const PACKAGE = loadPackageDefinition(PROTOS) as unknown as {
  readonly inference: { readonly GRPCInferenceService: ClientConstructor };
  readonly grpc: { readonly health: { readonly v1: { readonly Health: ClientConstructor } } };
};

type ClientConstructor = new (address: string, credentials: ChannelCredentials, options: ChannelOptions) => Client;

export type Message = Record<string, unknown>;

export interface Answer {
  readonly response: Message;
  readonly initial: Metadata;
  readonly trailing: Metadata;
}

export interface CallOptions {
  readonly metadata?: Record<string, string>;
  readonly deadlineMs?: number;
  /** Given the call as soon as it is made, e.g. to cancel it. */
  readonly onCall?: (call: { cancel(): void }) => void;
}

type UnaryMethod = (
  request: unknown,
  metadata: Metadata,
  options: { deadline?: number },
  callback: (error: ServiceError | null, response: Message) => void,
) => { cancel(): void; on(event: 'metadata' | 'status', listener: (given: never) => void): void };

export class SampleClient {
  readonly all: readonly Client[];
  readonly inference: Client;
  readonly health: Client;

  constructor(port: number, options: ClientOptions) {
    const address = `localhost:${port}`;
    const secret = options.credentials ?? credentials.createInsecure();
    // A channel of its own for each client, so that connections can be counted.
    const channel = { 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_retries': 0, ...options.channel };
    this.inference = new PACKAGE.inference.GRPCInferenceService(address, secret, channel);
    this.health = new PACKAGE.grpc.health.v1.Health(address, secret, channel);
    this.all = [this.inference, this.health];
  }

  infer(request: unknown, options?: CallOptions): Promise<Answer> {
    return this.call('ModelInfer', request, options);
  }

  call(method: string, request: unknown = {}, options: CallOptions = {}): Promise<Answer> {
    return callUnary(this.inference, method, request, options);
  }

  check(serviceName: string): Promise<Answer> {
    return callUnary(this.health, 'Check', { service: serviceName });
  }
}

export function callUnary(
  client: Client,
  method: string,
  request: unknown,
  options: CallOptions = {},
): Promise<Answer> {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(options.metadata ?? {})) metadata.set(name, value);
  const deadline = options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs };
  return new Promise((resolve, reject) => {
    let initial = new Metadata();
    let response: Message = {};
    const unary = (client as unknown as Record<string, UnaryMethod>)[method] as UnaryMethod;
    const call = unary.call(client, request, metadata, deadline, (error, given) => {
      if (error !== null) reject(error);
      response = given;
    });
    call.on('metadata', (given: Metadata) => {
      initial = given;
    });
    call.on('status', (status: { metadata: Metadata }) => {
      resolve({ response, initial, trailing: status.metadata });
    });
    options.onCall?.(call);
  });
}
