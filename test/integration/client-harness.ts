import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { createClient, type Client, type ClientOptions } from '#dist/client/index.js';
import type { DescriptorSpec, OutputSpec } from '#dist/descriptor/descriptor.js';
import type { ServiceDefinition } from '#dist/service/define.js';
import { encodeEnd, encodeItem, VALUES_TYPE } from '#dist/tensor/value-stream.js';

/** A server that says and does what a test wants, in the place of Jubako: to see what the client sends and how it bears what comes. */

export const LIMIT = { timeout: 30_000 };

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface HandmadeApi {
  readonly input: DescriptorSpec;
  readonly output: OutputSpec;
  readonly answer: (response: ServerResponse, asked: Asked, request: IncomingMessage) => void;
}

export interface HandmadeOptions {
  /** In the place of the document. */
  readonly document?: HandmadeApi['answer'];
  readonly routeOf?: (api: string) => string;
  /** That it is mounted under. */
  readonly path?: string;
}

export interface HandmadeServer<Name extends string> {
  readonly url: string;
  /** What was asked so far, the document included. */
  readonly asked: readonly Asked[];
  /** Calls of APIs among them. */
  calls(): readonly Asked[];
  client(options?: ClientOptions): Client<Untyped<Name>>;
  /** For APIs that stream. */
  streams(options?: ClientOptions): Client<UntypedStreams<Name>>;
}

export const JSON_SPEC: DescriptorSpec = { kind: 'json', schema: {} };
export const TENSOR_SPEC: DescriptorSpec = { kind: 'tensor', dtype: 'float32', shape: [-1, 2], allowNonFinite: false };
export const STREAM_SPEC: OutputSpec = { kind: 'stream', of: { kind: 'json', schema: {} } };

/** Any value: the types of clients have a test of their own. */
type Untyped<Name extends string> = ServiceDefinition<Readonly<Record<Name, unknown>>, Readonly<Record<Name, unknown>>>;
type UntypedStreams<Name extends string> = ServiceDefinition<
  Readonly<Record<Name, unknown>>,
  Readonly<Record<Name, AsyncIterable<unknown>>>
>;

export async function startServer<Name extends string>(
  t: TestContext,
  apis: Readonly<Record<Name, HandmadeApi>>,
  options: HandmadeOptions = {},
): Promise<HandmadeServer<Name>> {
  const { routeOf = (api) => `/${api}`, path = '' } = options;
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    void readAll(request).then((body) => {
      const { method = '', url = '', headers } = request;
      const one = { method, url, headers, body };
      asked.push(one);
      const document = options.document ?? ((to: ServerResponse) => answerJson(to, documentOf(apis, routeOf)));
      const api = (Object.keys(apis) as Name[]).find((name) => path + routeOf(name) === url);
      if (url === `${path}/docs.json`) document(response, one, request);
      else if (api !== undefined) apis[api].answer(response, one, request);
      else answerError(response, 404, { code: 'NOT_FOUND', message: `Cannot find ${url}`, requestId: 'r0' });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
  return {
    url,
    asked,
    calls: () => asked.filter(({ method }) => method === 'POST'),
    client: (clientOptions) => createClient<Untyped<Name>>(`${url}/`, clientOptions),
    streams: (clientOptions) => createClient<UntypedStreams<Name>>(url, clientOptions),
  };
}

/** What Jubako says about such APIs. */
export function documentOf(
  apis: Readonly<Record<string, Pick<HandmadeApi, 'input' | 'output'>>>,
  routeOf: (api: string) => string = (api) => `/${api}`,
): unknown {
  const paths = Object.entries(apis).map(([api, { input, output }]) => [
    routeOf(api),
    { post: { 'x-jubako': { api, input, output } } },
  ]);
  return { openapi: '3.1.0', paths: { '/livez': { get: {} }, ...(Object.fromEntries(paths) as object) } };
}

export function answerJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json; charset=utf-8', 'x-request-id': 'r1' });
  response.end(JSON.stringify(value));
}

export function answerBytes(
  response: ServerResponse,
  type: string,
  bytes: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(200, { 'content-type': type, ...headers });
  response.end(bytes);
}

export function answerError(
  response: ServerResponse,
  status: number,
  error: Readonly<Record<string, unknown>>,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ error }));
}

/** The head of a stream, and its first values. */
export function beginStream(response: ServerResponse, ...values: readonly unknown[]): void {
  response.writeHead(200, { 'content-type': VALUES_TYPE, 'x-request-id': 'r1' });
  response.flushHeaders();
  for (const value of values) for (const piece of encodeItem(value)) response.write(piece);
}

export function endStream(response: ServerResponse): void {
  response.end(encodeEnd());
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Something that a server sees, for a test to wait for. */
export class Milestone {
  readonly reached: Promise<void>;
  reach: () => void = () => undefined;

  constructor() {
    this.reached = new Promise((resolve) => {
      this.reach = resolve;
    });
  }
}
