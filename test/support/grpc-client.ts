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
import type { Cleanup } from './start-primary.js';
import { repositoryFile } from './start-primary.js';

type ClientClass = new (address: string, credentials: ChannelCredentials, options: ChannelOptions) => Client;
type Unary = (
  request: object,
  metadata: Metadata,
  callback: (error: ServiceError | null, response: Message) => void,
) => { cancel(): void };

export type Message = Readonly<Record<string, unknown>>;

const PROTO = loadSync(repositoryFile('src/grpc/proto/inference.proto'), {
  keepCase: true,
  longs: Number,
  defaults: true,
});
const { inference } = loadPackageDefinition(PROTO) as unknown as {
  readonly inference: { readonly GRPCInferenceService: ClientClass };
};

export interface GrpcOptions {
  readonly credentials?: ChannelCredentials;
  readonly channel?: ChannelOptions;
}

/** A client of the Open Inference Protocol on a connection of its own. */
export function connectGrpc(t: Cleanup, address: string, options: GrpcOptions = {}): GrpcClient {
  const client = new inference.GRPCInferenceService(address, options.credentials ?? credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
    'grpc.initial_reconnect_backoff_ms': 50,
    ...options.channel,
  });
  t.after(() => {
    client.close();
  });
  return new GrpcClient(client);
}

export class GrpcClient {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Rejects with grpc-js's ServiceError. */
  call(method: string, request: object = {}): Promise<Message> {
    return new Promise((resolve, reject) => {
      const unary = (this.#client as unknown as Readonly<Record<string, Unary>>)[method] as Unary;
      unary.call(this.#client, request, new Metadata(), (error, response) => {
        if (error === null) resolve(response);
        else reject(error);
      });
    });
  }

  /** Calls a method that takes JSON: a value goes as one BYTES element, and its answer comes the same way. */
  async inferJson(model: string, value: unknown): Promise<unknown> {
    const response = await this.call('ModelInfer', {
      model_name: model,
      inputs: [
        {
          name: 'input',
          datatype: 'BYTES',
          shape: [1],
          contents: { bytes_contents: [Buffer.from(JSON.stringify(value))] },
        },
      ],
    });
    const [output] = response['outputs'] as readonly {
      readonly contents: { readonly bytes_contents: readonly Buffer[] };
    }[];
    return JSON.parse(String(output?.contents.bytes_contents[0])) as unknown;
  }

  /** One row of FP32; gives the first output's numbers. */
  async inferRow(model: string, row: readonly number[]): Promise<readonly number[]> {
    const response = await this.call('ModelInfer', {
      model_name: model,
      inputs: [{ name: 'input', datatype: 'FP32', shape: [1, row.length], contents: { fp32_contents: row } }],
    });
    const [output] = response['outputs'] as readonly {
      readonly contents: { readonly fp32_contents: readonly number[] };
    }[];
    return output?.contents.fp32_contents ?? [];
  }
}
