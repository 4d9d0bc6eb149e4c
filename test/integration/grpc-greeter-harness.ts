import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext } from 'node:test';
import type { Client } from '@grpc/grpc-js';
import {
  credentials,
  loadPackageDefinition,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  type ServiceError,
  type StatusObject,
  type UntypedServiceImplementation,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { RunnerTransport } from '#dist/service/bound-runners.js';
import { JubakoError } from '#dist/errors.js';
import { createInvoker } from '#dist/service/create-invoker.js';
import { defineRunner, defineService, type ServiceDefinition } from '#dist/service/define.js';
import type { GrpcExtension, GrpcServiceContext } from '#dist/service/extensions.js';
import { json } from '#dist/service/index.js';
import { callUnary, startGrpc, type Harness, type Message } from './grpc-harness.js';

/** A service that brings the gRPC service `sample.v1.Greeter`, with the real invoker behind it and a client in front. */

export const PROTO = `syntax = "proto3";
package sample.v1;
service Greeter {
  rpc Hello(Name) returns (Greeting);
  rpc Collect(stream Name) returns (Greeting);
  rpc Count(Name) returns (stream Greeting);
  rpc Chat(stream Name) returns (stream Greeting);
}
message Name { string name = 1; }
message Greeting { string text = 1; int32 number = 2; }
`;

export interface Name {
  readonly name: string;
}

export interface Greeting {
  readonly text: string;
  readonly number?: number;
}

export type Respond = sendUnaryData<Greeting>;

export function greeterFile(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'jubako-proto-'));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  const file = join(folder, 'greeter.proto');
  writeFileSync(file, PROTO);
  return file;
}

export const doubler = defineRunner({
  name: 'doubler',
  load: () => null,
  methods: { double: { input: json<number>(), output: json<number>(), run: () => 0 } },
});

export interface GreeterClient extends Client {
  Collect(done: (error: ServiceError | null, answer?: Greeting) => void): ClientWritableStream<Name>;
  Count(name: Name): ClientReadableStream<Greeting>;
  Chat(): ClientDuplexStream<Name, Greeting>;
}

export interface Started {
  readonly grpc: Harness;
  readonly client: GreeterClient;
}

export interface StartOptions {
  readonly timeoutMs?: number;
  readonly streamTimeoutMs?: number;
  readonly transport?: Partial<RunnerTransport>;
  readonly extension?: Partial<GrpcExtension>;
  readonly reflection?: boolean;
}

export async function start(
  t: TestContext,
  implementation: (context: GrpcServiceContext) => UntypedServiceImplementation,
  { timeoutMs = 0, streamTimeoutMs = 0, transport = {}, extension = {}, reflection = false }: StartOptions = {},
): Promise<Started> {
  const file = greeterFile(t);
  const grpc: GrpcExtension = {
    services: [{ definition: { proto: file, service: 'sample.v1.Greeter' }, implementation }],
    ...extension,
  };
  const service = { ...defineService({ name: 'sample', runners: [doubler], apis: {} }), grpc } as ServiceDefinition;
  const invoker = createInvoker({
    service,
    timeoutMs,
    streamLimits: { firstMs: 0, idleMs: 0, wholeMs: streamTimeoutMs },
    transport: {
      call: ({ input }) => Promise.resolve(2 * (input as number)),
      stream: () => {
        throw new JubakoError('INTERNAL', 'no test asked for this');
      },
      ...transport,
    },
  });
  const harness = await startGrpc(t, { service, others: { invoker }, config: { reflection } });
  const loaded = loadPackageDefinition(loadSync(file)) as unknown as {
    readonly sample: { readonly v1: { readonly Greeter: new (...given: unknown[]) => GreeterClient } };
  };
  const client = new loaded.sample.v1.Greeter(`localhost:${harness.port}`, credentials.createInsecure());
  t.after(() => {
    client.close();
  });
  return { grpc: harness, client };
}

export function hello(client: Client, name: string, deadlineMs?: number): Promise<Message> {
  const options = deadlineMs === undefined ? {} : { deadlineMs };
  return callUnary(client, 'Hello', { name }, options).then(({ response }) => response);
}

export async function failureOf(promise: Promise<unknown>): Promise<ServiceError> {
  return promise.then(
    () => assert.fail('it did not fail'),
    (thrown: unknown) => thrown as ServiceError,
  );
}

export function statusOf(
  stream: Client | ClientReadableStream<Greeting> | ClientDuplexStream<Name, Greeting>,
): Promise<StatusObject> {
  const emitter = stream as ClientReadableStream<Greeting>;
  emitter.on('error', () => undefined);
  return new Promise((resolve) => {
    emitter.on('status', resolve);
  });
}
