import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { Writable } from 'node:stream';
import type { TestContext } from 'node:test';
import type { TlsOptions } from 'node:tls';
import { pino } from 'pino';
import type { ServerConfig } from '#dist/config/settings.js';
import { createHttpServer } from '#dist/http/http-server.js';
import type { ServiceDefinition } from '#dist/service/define.js';
import { defineService, json, tensor } from '#dist/service/index.js';
import type { ApiCall, Invoker } from '#dist/service/invoke.js';
import type { Manifest } from '#dist/service/manifest.js';
import type { ProtocolServer, ProtocolServerOptions, Readiness } from '#dist/service/protocol-server.js';
import { Metrics } from '#dist/telemetry/metrics.js';
import type { RequestOutcome } from '#dist/telemetry/request-log.js';
import { contentOf } from '../support/api-input.js';
import { otherOptions, partialInvoker } from '../support/protocol-options.js';

/** Starts an HTTP server with a fake invoker behind a real listening socket; raw sockets and `fetch` in front. */

const handler = (): never => {
  throw new Error('never runs: the invoker is a fake');
};

export const service: ServiceDefinition = defineService({
  name: 'sample',
  version: '7',
  apis: {
    echo: { input: json(), output: json(), handler, doc: 'Gives back what it gets.', example: { a: 1 } },
    double: { input: tensor('float32', [-1, 2]), output: tensor('float32', [-1, 2]), handler, route: '/v1/double' },
    fixed: { input: tensor('int16', [2, 2]), output: json(), handler },
    words: { input: tensor('string', [-1]), output: tensor('string', [-1]), handler },
  },
});

export function manifestOf(definition: ServiceDefinition): Manifest {
  const apis = Object.entries(definition.apis).map(([name, api]) => ({
    name,
    route: api.route ?? `/${name}`,
    input: api.input.spec,
    output: api.output.spec,
    ...(api.doc !== undefined && { doc: api.doc }),
    ...(api.example !== undefined && { example: api.example }),
  }));
  return { name: definition.name, version: definition.version ?? '1', apis, runners: [], mounts: [], unavailable: [] };
}

export interface StartOptions {
  readonly config?: Partial<ServerConfig>;
  readonly callApi?: Invoker['callApi'];
  readonly invoker?: Partial<Invoker>;
  /** More options of the server, or others than those of the harness. */
  readonly others?: Partial<ProtocolServerOptions>;
  readonly tls?: TlsOptions;
  readonly readiness?: () => Readiness;
  readonly metricsText?: () => Promise<string>;
  /** As the primary hands connections over; default true. */
  readonly pauseOnConnect?: boolean;
}

export interface StartedServer {
  readonly server: ProtocolServer;
  readonly metrics: Metrics;
  readonly port: number;
  /** What was recorded so far, in order. */
  readonly outcomes: readonly RequestOutcome[];
  readonly logged: readonly Record<string, unknown>[];
  /** The next outcome that no earlier call gave. */
  readonly nextOutcome: () => Promise<RequestOutcome>;
  readonly url: (path: string) => string;
}

export async function startHttp(t: TestContext, options: StartOptions = {}): Promise<StartedServer> {
  const outcomes: RequestOutcome[] = [];
  let taken = 0;
  let wake = (): void => undefined;
  const logged: Record<string, unknown>[] = [];
  const metrics = new Metrics();
  const callApi = options.callApi ?? ((call: ApiCall): Promise<unknown> => Promise.resolve(contentOf(call.input)));
  const server = await createHttpServer({
    service,
    manifest: manifestOf(service),
    config: {
      timeoutKeepAlive: 5,
      maxConcurrency: 0,
      maxBodyBytes: 1_000_000,
      metrics: true,
      apiKeys: [],
      corsOrigins: [],
      trustedProxies: [],
      timeout: 0,
      modelControl: false,
      ...options.config,
    } as ServerConfig,
    invoker: partialInvoker({ callApi, ...options.invoker }),
    tls: options.tls,
    logger: pino({ level: 'error' }, collect(logged)),
    metrics,
    recordRequest: (outcome) => {
      outcomes.push(outcome);
      wake();
    },
    readiness: async (): Promise<Readiness> => options.readiness?.() ?? { ready: true },
    metricsText: options.metricsText ?? ((): Promise<string> => Promise.resolve('jubako_up 1\n')),
    worker: 'http-0',
    ...otherOptions(),
    ...options.others,
  });
  const listener = createServer({ pauseOnConnect: options.pauseOnConnect ?? true }, (socket) => {
    server.accept(socket);
  });
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  t.after(async () => {
    listener.close();
    await server.drain(0);
  });
  const { port } = listener.address() as AddressInfo;
  return {
    server,
    metrics,
    port,
    outcomes,
    logged,
    async nextOutcome(): Promise<RequestOutcome> {
      for (;;) {
        const outcome = outcomes[taken];
        if (outcome !== undefined) {
          taken += 1;
          return outcome;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    url: (path) => `http://127.0.0.1:${port}${path}`,
  };
}

function collect(lines: Record<string, unknown>[]): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done): void {
      lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
      done();
    },
  });
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface ErrorAnswer {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly requestId: string;
    readonly details?: unknown;
  };
}

/** A client that writes bytes as they are and reads answers one by one. */
export class RawClient {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #hasEnded = false;
  #wake = (): void => undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    const end = (): void => {
      this.#hasEnded = true;
      this.#wake();
    };
    socket.on('end', end).on('close', end).on('error', end);
  }

  static async open(t: TestContext, port: number): Promise<RawClient> {
    return RawClient.over(t, connect({ port, host: '127.0.0.1', allowHalfOpen: true }), 'connect');
  }

  static async over(t: TestContext, socket: Socket, ready: string): Promise<RawClient> {
    t.after(() => socket.destroy());
    const client = new RawClient(socket);
    await once(socket, ready);
    return client;
  }

  write(text: string | Buffer): void {
    this.socket.write(text);
  }

  get(path: string): void {
    this.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  }

  post(path: string, body: string, headers = ''): void {
    this.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  }

  /** The next answer; rejects when the connection ends before it is complete. */
  async answer(): Promise<Answer> {
    const headEnd = await this.#find('\r\n\r\n');
    const [statusLine = '', ...lines] = this.#received.subarray(0, headEnd).toString('latin1').split('\r\n');
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const bodyEnd = headEnd + 4 + Number(headers['content-length'] ?? 0);
    while (this.#received.length < bodyEnd) await this.#more();
    const body = this.#received.subarray(headEnd + 4, bodyEnd).toString();
    this.#received = this.#received.subarray(bodyEnd);
    return { status: Number(statusLine.split(' ')[1]), headers, body };
  }

  /** Resolves when the server has closed its side; rejects if it sent anything before. */
  async ended(): Promise<void> {
    while (!this.#hasEnded) await this.#more(true);
    if (this.#received.length > 0) throw new Error(`Unread before the end: ${this.#received.toString()}`);
  }

  async #find(mark: string): Promise<number> {
    for (;;) {
      const at = this.#received.indexOf(mark);
      if (at !== -1) return at;
      await this.#more();
    }
  }

  async #more(endIsFine = false): Promise<void> {
    if (this.#hasEnded && !endIsFine) throw new Error(`The connection ended after: ${this.#received.toString()}`);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}

export function errorOf(answer: Answer): ErrorAnswer['error'] {
  return (JSON.parse(answer.body) as ErrorAnswer).error;
}

/** A promise that the test settles itself. */
export function gate<T = void>(): { readonly promise: Promise<T>; readonly open: (value: T) => void } {
  let open: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => {
    open = resolve;
  });
  return {
    promise,
    open: (value) => {
      open(value);
    },
  };
}
