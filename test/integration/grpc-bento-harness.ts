import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { credentials, loadPackageDefinition, status, type Client, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { JubakoError } from '#dist/errors.js';
import { createInvoker } from '#dist/service/create-invoker.js';
import { defineService, type ServiceDefinition } from '#dist/service/define.js';
import { json, tensor, tensors } from '#dist/service/index.js';
import type { ApiCall, Invoker } from '#dist/service/invoke.js';
import {
  ALL_DTYPES,
  callUnary,
  startGrpc,
  type Answer,
  type CallOptions,
  type Harness,
  type HarnessOptions,
  type Message,
} from './grpc-harness.js';

/** BentoML's API over a service without runners, with the real invoker behind it, and real grpc-js clients in front. */

const echo = (input: unknown): unknown => input;
const pair = tensors({ ids: tensor('int64', [-1, 2]), mask: tensor('bool', [-1, 2]) });

/** Every API gives its input back, but for `give`, whose input names an output, and the two that turn JSON into tensors. */
const OUTPUTS: Readonly<Record<string, () => unknown>> = {
  nothing: () => undefined,
  nan: () => [NaN],
  surrogate: () => '\ud800',
  bigint: () => 1n,
  deep: () => JSON.parse(`${'['.repeat(50)}${']'.repeat(50)}`) as unknown,
};

export const service = defineService({
  name: 'sample',
  apis: {
    words: { input: json(), output: json(), handler: echo, doc: 'Says it again.' },
    number: { input: json({ type: 'number' }), output: json(), handler: echo },
    give: { input: json<string>(), output: json(), handler: (name: string) => OUTPUTS[name]?.() },
    pair: { input: pair, output: pair, handler: (input) => input },
    open: { input: tensor('float32', [-1, -1]), output: tensor('float32', [-1, -1]), handler: (input) => input },
    ...Object.fromEntries(
      ALL_DTYPES.map((dtype) => [
        dtype,
        { input: tensor(dtype, [-1, 2]), output: tensor(dtype, [-1, 2]), handler: echo as never },
      ]),
    ),
  },
}) as ServiceDefinition;

/** For a service without runners. */
export function invokerOf(definition: ServiceDefinition): Invoker {
  return createInvoker({
    service: definition,
    timeoutMs: 0,
    streamLimits: { firstMs: 0, idleMs: 0, wholeMs: 0 },
    transport: {
      call: () => Promise.reject(new JubakoError('INTERNAL', 'there are no runners')),
      stream: () => {
        throw new JubakoError('INTERNAL', 'there are no runners');
      },
    },
  });
}

type Version = 'v1' | 'v1alpha1';

const PROTO_FOLDER = fileURLToPath(new URL('../../src/grpc/proto/', import.meta.url));
const PACKAGE = loadPackageDefinition(
  loadSync(
    ['bentoml-v1.proto', 'bentoml-v1alpha1.proto', 'jubako.proto'].map((name) => `${PROTO_FOLDER}${name}`),
    {
      keepCase: true,
      longs: String,
      enums: String,
      oneofs: true,
    },
  ),
) as unknown as {
  readonly bentoml: { readonly grpc: Record<Version, { readonly BentoService: ClientClass }> };
  readonly jubako: { readonly v1: { readonly Jubako: ClientClass } };
};

type ClientClass = new (...given: unknown[]) => Client;

export function connect(t: TestContext, grpc: Harness, version: Version = 'v1'): Client {
  return connectAs(t, grpc, PACKAGE.bentoml.grpc[version].BentoService);
}

export function connectJubako(t: TestContext, grpc: Harness): Client {
  return connectAs(t, grpc, PACKAGE.jubako.v1.Jubako);
}

function connectAs(t: TestContext, grpc: Harness, Service: ClientClass): Client {
  const client = new Service(`localhost:${grpc.port}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
  });
  t.after(() => {
    client.close();
  });
  return client;
}

export interface Bento {
  readonly grpc: Harness;
  readonly client: Client;
  readonly calls: readonly ApiCall[];
  readonly call: (request: Message, options?: CallOptions) => Promise<Answer>;
  /** The content of the answer. */
  readonly ask: (api: string, content: Message) => Promise<Message>;
}

export async function startBento(t: TestContext, options: HarnessOptions = {}): Promise<Bento> {
  const calls: ApiCall[] = [];
  const invoker = invokerOf(options.service ?? service);
  const grpc = await startGrpc(t, {
    service,
    invoker: { streamApi: (call) => invoker.streamApi(call) },
    callApi: (call) => {
      calls.push(call);
      return invoker.callApi(call);
    },
    ...options,
  });
  const client = connect(t, grpc, options.config?.protocolVersion);
  const call = (request: Message, more?: CallOptions): Promise<Answer> => callUnary(client, 'Call', request, more);
  const ask = async (api: string, content: Message): Promise<Message> =>
    (await call({ api_name: api, ...content })).response;
  return { grpc, client, calls, call, ask };
}

export function fails(code: number, errorCode: string, details: RegExp): (thrown: unknown) => boolean {
  return (thrown) => {
    const error = thrown as ServiceError;
    assert.equal(error.code, code, error.details);
    assert.match(error.details, details);
    assert.ok(error.details.startsWith(`${errorCode}: `), error.details);
    assert.deepEqual(error.metadata.get('x-error-code'), [errorCode]);
    return true;
  };
}

export const invalid = (details: RegExp): ((thrown: unknown) => boolean) =>
  fails(status.INVALID_ARGUMENT, 'INVALID_INPUT', details);

/** Any JSON value as google.protobuf.Value. */
export function valueOf(value: unknown): Message {
  if (value === null) return { nullValue: 0 };
  if (typeof value === 'number') return { numberValue: value };
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(valueOf) } };
  const fields = Object.entries(value as object).map(([key, item]) => [key, valueOf(item)] as const);
  return { structValue: { fields: Object.fromEntries(fields) } };
}

/** And back. */
export function plainOf(value: Message): unknown {
  const given = value[value['kind'] as string] as Message;
  if (value['kind'] === 'nullValue') return null;
  if (value['kind'] === 'listValue') return ((given['values'] ?? []) as Message[]).map(plainOf);
  if (value['kind'] !== 'structValue') return given;
  const fields = Object.entries((given['fields'] ?? {}) as Record<string, Message>);
  return Object.fromEntries(fields.map(([key, item]) => [key, plainOf(item)]));
}
