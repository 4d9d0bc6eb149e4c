import { Metadata, credentials, loadPackageDefinition, type Client, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath as healthProtoPath } from 'grpc-health-check';
import { repositoryFile, type Cleanup } from '../support/start-primary.js';
import type { AskOptions, Told } from './door.js';
import type { Message } from './protobuf-values.js';

type ClientClass = new (address: string, ...rest: unknown[]) => Client;
type Unary = (
  request: object,
  metadata: Metadata,
  options: { deadline?: number },
  callback: (error: ServiceError | null, response: Message) => void,
) => { cancel(): void; on(event: 'metadata', listener: (metadata: Metadata) => void): void };

/** A call that is answered by a stream. */
export interface StreamedCall extends AsyncIterable<Message> {
  cancel(): void;
  on(event: 'metadata', listener: (metadata: Metadata) => void): void;
  /** Of calls that take a stream. */
  write(request: Message): void;
  end(): void;
}

// Long integers as texts: as numbers they would lose their last digits.
const PROTO_OPTIONS = { keepCase: true, longs: String, defaults: false, oneofs: true } as const;

interface Protos {
  readonly inference: { readonly GRPCInferenceService: ClientClass };
  readonly bentoml: { readonly grpc: { readonly v1: { readonly BentoService: ClientClass } } };
  readonly jubako: { readonly v1: { readonly Jubako: ClientClass } };
  readonly grpc: { readonly health: { readonly v1: { readonly Health: ClientClass } } };
}

const FOLDER = repositoryFile('src/grpc/proto');
const FILES = ['inference.proto', 'bentoml-v1.proto', 'jubako.proto', healthProtoPath];
const PROTOS = loadPackageDefinition(loadSync(FILES, { ...PROTO_OPTIONS, includeDirs: [FOLDER] })) as unknown as Protos;

/** A channel of its own to each service; `wire` calls with bytes instead of messages. */
export class GrpcClients {
  readonly inference: Client;
  readonly bento: Client;
  readonly jubako: Client;
  readonly health: Client;

  constructor(t: Cleanup, address: string) {
    const { inference, bentoml, jubako, grpc } = PROTOS;
    const connect = (Service: ClientClass): Client =>
      new Service(address, credentials.createInsecure(), {
        'grpc.use_local_subchannel_pool': 1,
        'grpc.enable_retries': 0,
        'grpc.initial_reconnect_backoff_ms': 50,
        'grpc.max_send_message_length': -1,
      });
    this.inference = connect(inference.GRPCInferenceService);
    this.bento = connect(bentoml.grpc.v1.BentoService);
    this.jubako = connect(jubako.v1.Jubako);
    this.health = connect(grpc.health.v1.Health);
    t.after(() => {
      for (const client of [this.inference, this.bento, this.jubako, this.health]) client.close();
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
function toTold(start: Start, options: AskOptions = {}): Promise<Told> {
  return new Promise((resolve) => {
    let head = new Metadata();
    const call = start(toMetadata(options), deadlineOf(options), (error, response) => {
      if (error === null) resolve(answered(textOf(head, 'x-request-id'), response, JSON.stringify(response)));
      else resolve(refused(error));
    });
    call.on('metadata', (received) => {
      head = received;
    });
    options.signal?.addEventListener('abort', () => {
      call.cancel();
    });
  });
}

/**
 * All answers of a call, and how it ended: `value` is the list of its messages. Never rejects.
 * @param start - the call; its requests are written by the caller.
 */
export async function callStream(
  start: (metadata: Metadata, options: { deadline?: number }) => StreamedCall,
  options: AskOptions = {},
): Promise<Told> {
  const call = start(toMetadata(options), deadlineOf(options));
  let head = new Metadata();
  call.on('metadata', (received) => {
    head = received;
  });
  options.signal?.addEventListener('abort', () => {
    call.cancel();
  });
  const messages: Message[] = [];
  try {
    for await (const message of call) messages.push(message);
    return answered(textOf(head, 'x-request-id'), messages, JSON.stringify(messages));
  } catch (error) {
    return { ...refused(error as ServiceError), value: messages };
  }
}

function toMetadata({ requestId, headers }: AskOptions): Metadata {
  const metadata = new Metadata();
  if (requestId !== undefined) metadata.set('x-request-id', requestId);
  for (const [name, value] of Object.entries(headers ?? {})) metadata.set(name, value);
  return metadata;
}

function deadlineOf({ deadlineMs }: AskOptions): { deadline?: number } {
  return deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
}

function answered(requestId: string, value: unknown, seen: string): Told {
  return { code: 'ok', status: 0, message: '', requestId, retryAfter: undefined, value, seen };
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
