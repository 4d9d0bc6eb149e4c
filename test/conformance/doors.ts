import { Metadata, credentials, loadPackageDefinition, type Client, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath as healthProtoPath } from 'grpc-health-check';
import { send, type ErrorOf } from '../support/http-client.js';
import { repositoryFile, type Cleanup } from '../support/start-primary.js';

// The three doors of a server, and one way to ask at each of them: a case is written once.
// O1 An answer is told in the words of the catalogue, whatever the door; `status` alone is the door's own.

/** What is asked: an API, and the method of a runner that stands beside it; absent where there is none. */
export interface Target {
  readonly api: string;
  readonly model?: string;
}

export interface AskOptions {
  readonly requestId?: string;
  /** The client's own limit, where the door has one. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

/** O1 */
export interface Told {
  /** `ok`, or the code of the failure; '' where the door gave none. */
  readonly code: string;
  /** Of HTTP, or of gRPC. */
  readonly status: number;
  readonly message: string;
  readonly requestId: string;
  readonly retryAfter: string | undefined;
  readonly value: unknown;
  /** All that the client got to see, as text. */
  readonly seen: string;
}

export type Protocol = 'http' | 'grpc';

export interface Door {
  readonly name: 'HTTP' | 'BentoService.Call' | 'ModelInfer';
  readonly protocol: Protocol;
  /** True: it leads to this target. */
  leadsTo(target: Target): boolean;
  /** A JSON value; a list of lists of numbers where the target takes a tensor. */
  ask(target: Target, value: unknown, options?: AskOptions): Promise<Told>;
}

export type Message = Readonly<Record<string, unknown>>;
type ClientClass = new (address: string, ...rest: unknown[]) => Client;
type Unary = (
  request: object,
  metadata: Metadata,
  options: { deadline?: number },
  callback: (error: ServiceError | null, response: Message) => void,
) => { cancel(): void; on(event: 'metadata', listener: (metadata: Metadata) => void): void };

const PROTO_OPTIONS = { keepCase: true, longs: Number, defaults: false, oneofs: true } as const;

interface Protos {
  readonly inference: { readonly GRPCInferenceService: ClientClass };
  readonly bentoml: { readonly grpc: { readonly v1: { readonly BentoService: ClientClass } } };
  readonly grpc: { readonly health: { readonly v1: { readonly Health: ClientClass } } };
}

const PROTOS = loadPackageDefinition(
  loadSync(
    [
      repositoryFile('src/grpc/proto/inference.proto'),
      repositoryFile('src/grpc/proto/bentoml-v1.proto'),
      healthProtoPath,
    ],
    PROTO_OPTIONS,
  ),
) as unknown as Protos;

/** A channel of its own to each service; `wire` calls with bytes instead of messages. */
export class GrpcClients {
  readonly inference: Client;
  readonly bento: Client;
  readonly health: Client;

  constructor(t: Cleanup, address: string) {
    const { inference, bentoml, grpc } = PROTOS;
    const connect = (Service: ClientClass): Client =>
      new Service(address, credentials.createInsecure(), {
        'grpc.use_local_subchannel_pool': 1,
        'grpc.enable_retries': 0,
        'grpc.initial_reconnect_backoff_ms': 50,
        'grpc.max_send_message_length': -1,
      });
    this.inference = connect(inference.GRPCInferenceService);
    this.bento = connect(bentoml.grpc.v1.BentoService);
    this.health = connect(grpc.health.v1.Health);
    t.after(() => {
      for (const client of [this.inference, this.bento, this.health]) client.close();
    });
  }

  infer(request: Message, options?: AskOptions): Promise<Told> {
    return callUnary(this.inference, 'ModelInfer', request, options);
  }

  bentoCall(request: Message, options?: AskOptions): Promise<Told> {
    return callUnary(this.bento, 'Call', request, options);
  }

  /** Any method, known or not, with the bytes of its message. */
  wire(path: string, bytes: Uint8Array, options?: AskOptions): Promise<Told> {
    const same = (message: Uint8Array): Buffer => Buffer.from(message);
    return toTold((metadata, callOptions, callback) => {
      const call = this.inference.makeUnaryRequest(path, same, same, bytes, metadata, callOptions, (error, answer) => {
        callback(error, { bytes: answer });
      });
      return call;
    }, options);
  }
}

export function callUnary(client: Client, method: string, request: Message, options?: AskOptions): Promise<Told> {
  return toTold((metadata, callOptions, callback) => {
    const unary = (client as unknown as Readonly<Record<string, Unary>>)[method] as Unary;
    return unary.call(client, request, metadata, callOptions, callback);
  }, options);
}

type Start = (metadata: Metadata, options: { deadline?: number }, callback: Parameters<Unary>[3]) => ReturnType<Unary>;

/** Any status is an answer; this never rejects. */
function toTold(start: Start, { requestId, deadlineMs, signal }: AskOptions = {}): Promise<Told> {
  const metadata = new Metadata();
  if (requestId !== undefined) metadata.set('x-request-id', requestId);
  return new Promise((resolve) => {
    let head = new Metadata();
    const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
    const call = start(metadata, options, (error, response) => {
      if (error === null) resolve(answered(0, textOf(head, 'x-request-id'), response, JSON.stringify(response)));
      else resolve(refused(error));
    });
    call.on('metadata', (received) => {
      head = received;
    });
    signal?.addEventListener('abort', () => {
      call.cancel();
    });
  });
}

function answered(status: number, requestId: string, value: unknown, seen: string): Told {
  return { code: 'ok', status, message: '', requestId, retryAfter: undefined, value, seen };
}

function refused({ code, details, metadata }: ServiceError): Told {
  return {
    code: textOf(metadata, 'x-error-code'),
    status: code,
    message: details,
    requestId: textOf(metadata, 'x-request-id'),
    retryAfter: undefined,
    value: undefined,
    seen: `${details} ${JSON.stringify({ ...metadata.getMap(), date: undefined })}`,
  };
}

function textOf(metadata: Metadata, key: string): string {
  return metadata.get(key).join();
}

/** The doors of one server. */
export function openDoors(http: string, clients: GrpcClients): readonly Door[] {
  return [
    {
      name: 'HTTP',
      protocol: 'http',
      leadsTo: () => true,
      ask: ({ api }, value, options) => askHttp(`${http}/${api}`, JSON.stringify(value), options),
    },
    {
      name: 'BentoService.Call',
      protocol: 'grpc',
      leadsTo: () => true,
      ask: async ({ api }, value, options) => {
        const told = await clients.bentoCall({ api_name: api, json: toValue(value) }, options);
        return { ...told, value: contentOf(told.value) };
      },
    },
    {
      name: 'ModelInfer',
      protocol: 'grpc',
      leadsTo: ({ model }) => model !== undefined,
      ask: async ({ model = '' }, value, options) => {
        const told = await clients.infer({ model_name: model, inputs: [toInput(value)] }, options);
        return { ...told, value: documentOf(told.value) };
      },
    },
  ];
}

export interface AskHttpOptions extends AskOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function askHttp(url: string, body?: string, options: AskHttpOptions = {}): Promise<Told> {
  const { requestId, signal, method, headers: more } = options;
  const answer = await send(url, body, {
    headers: { ...more, ...(requestId !== undefined && { 'x-request-id': requestId }) },
    ...(method !== undefined && { method }),
    ...(signal !== undefined && { signal }),
  });
  const { status, headers, text, json } = answer;
  const echoed = String(headers['x-request-id'] ?? '');
  if (status < 300) return answered(status, echoed, json, text);
  const {
    code = '',
    message = '',
    requestId: named = '',
  } = (json as { readonly error?: ErrorOf } | undefined)?.error ?? {};
  if (named !== echoed) throw new Error(`The body names request "${named}", the header "${echoed}"`);
  return {
    code,
    status,
    message,
    requestId: echoed,
    retryAfter: headers['retry-after'],
    value: undefined,
    seen: `${text} ${JSON.stringify({ ...headers, date: undefined })}`,
  };
}

/** Any JSON value as google.protobuf.Value. */
export function toValue(value: unknown): Message {
  if (value === null) return { nullValue: 0 };
  if (typeof value === 'number') return { numberValue: value };
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(toValue) } };
  const fields = Object.entries(value as object).map(([key, item]) => [key, toValue(item)] as const);
  return { structValue: { fields: Object.fromEntries(fields) } };
}

interface BentoResponse {
  readonly json?: Message;
  readonly ndarray?: { readonly shape: readonly number[]; readonly float_values: readonly number[] };
}

function contentOf(response: unknown): unknown {
  const { json, ndarray } = (response ?? {}) as BentoResponse;
  return ndarray === undefined ? plainOf(json) : rowsOf(ndarray.shape, ndarray.float_values);
}

function rowsOf([rows = 0, width = 0]: readonly number[], numbers: readonly number[]): unknown {
  return Array.from({ length: rows }, (_, row) => numbers.slice(row * width, (row + 1) * width));
}

function plainOf(value: Message | undefined): unknown {
  if (value === undefined) return undefined;
  const given = value[value['kind'] as string] as Message;
  if (value['kind'] === 'nullValue') return null;
  if (value['kind'] === 'listValue') return ((given['values'] ?? []) as Message[]).map(plainOf);
  if (value['kind'] !== 'structValue') return given;
  const fields = Object.entries((given['fields'] ?? {}) as Record<string, Message>);
  return Object.fromEntries(fields.map(([key, item]) => [key, plainOf(item)]));
}

/** Rows of numbers as FP32, anything else as a JSON document. */
export function toInput(value: unknown): Message {
  if (Array.isArray(value) && value.every(Array.isArray)) {
    const rows = value as readonly (readonly number[])[];
    const shape = [rows.length, rows[0]?.length ?? 0];
    return { name: 'input', datatype: 'FP32', shape, contents: { fp32_contents: rows.flat() } };
  }
  const document = Buffer.from(JSON.stringify(value));
  return { name: 'input', datatype: 'BYTES', shape: [1], contents: { bytes_contents: [document] } };
}

interface InferOutput {
  readonly shape: readonly number[];
  readonly contents: { readonly bytes_contents?: readonly Buffer[]; readonly fp32_contents?: readonly number[] };
}

function documentOf(response: unknown): unknown {
  const output = (response as { readonly outputs?: readonly InferOutput[] } | undefined)?.outputs?.[0];
  if (output === undefined) return undefined;
  const { bytes_contents: documents, fp32_contents: numbers = [] } = output.contents;
  if (documents !== undefined) return JSON.parse(String(documents[0])) as unknown;
  return rowsOf(output.shape, numbers);
}
