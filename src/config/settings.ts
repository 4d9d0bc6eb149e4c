/** Every setting, resolved. One name, four spellings: `apiWorkers` in code and files, `--api-workers`, `JUBAKO_API_WORKERS`. */
export interface ServerConfig {
  readonly host: string;
  readonly port: number;
  readonly backlog: number;
  /** CPUs that all defaults are made for; null: what the cgroup grants. */
  readonly cpus: number | null;
  /** Worker processes per protocol; null: one per CPU. */
  readonly apiWorkers: number | null;
  /** Seconds that a request may take before it is answered DEADLINE_EXCEEDED; 0 = no limit. */
  readonly timeout: number;
  /** Seconds that an idle keep-alive connection stays open. */
  readonly timeoutKeepAlive: number;
  /** Seconds between the stop signal and the end, whatever is still running. */
  readonly timeoutGracefulShutdown: number;
  /** Requests that one API worker works on at a time; 0 = no limit. Beyond: QUEUE_FULL. */
  readonly maxConcurrency: number;
  readonly maxBodyBytes: number;
  /** Seconds until the first value of a stream; null: `timeout`. 0 = no limit. */
  readonly streamFirstTimeout: number | null;
  /** Seconds between two values of a stream while the client reads; null: `timeout`. 0 = no limit. */
  readonly streamIdleTimeout: number | null;
  /** Seconds that a whole stream may take; 0 = no limit. */
  readonly streamTimeout: number;
  /** Answers are compressed where the client accepts that. */
  readonly compression: boolean;
  /** Origins whose pages may call; `*`: any. */
  readonly corsOrigins: readonly string[];

  /** Secrets, one of which a client must show; empty: everybody may call. */
  readonly apiKeys: readonly string[];
  /** Requests per second of one client; 0 = no limit. */
  readonly rateLimit: number;
  /** Requests that one client may send at once; null: those of one second. */
  readonly rateLimitBurst: number | null;
  /** Addresses or CIDR ranges whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[];
  readonly workingDir: string | null;
  readonly development: boolean;

  readonly sslCertfile: string | null;
  readonly sslKeyfile: string | null;
  readonly sslKeyfilePassword: string | null;
  readonly sslVersion: string | null;
  readonly sslCertReqs: string | null;
  readonly sslCaCerts: string | null;
  readonly sslCiphers: string | null;

  readonly grpc: boolean;
  readonly grpcHost: string | null;
  readonly grpcPort: number;
  readonly grpcWorkers: number | null;
  readonly reflection: boolean;
  readonly channelz: boolean;
  /** 0 = 4096. */
  readonly maxConcurrentStreams: number;
  /** -1 = no limit. */
  readonly maxMessageLength: number;
  /** Seconds after which a gRPC client is told to connect again; 0 = never. */
  readonly maxConnectionAge: number;
  /** Seconds that its calls get after that; 0 = no limit. */
  readonly maxConnectionAgeGrace: number;
  /** BentoML's gRPC API that is served beside the Open Inference Protocol. */
  readonly protocolVersion: 'v1' | 'v1alpha1';

  readonly runnerName: string | null;
  /** Runner name → addresses; from `--runner-map` (JSON) and `--remote-runner name=address`. */
  readonly runnerMap: Readonly<Record<string, readonly string[]>>;
  /** Worker processes per runner; null: what the service says. */
  readonly runnerWorkers: number | null;
  /** Resident memory above which a worker is replaced; null: the share of the cgroup's limit, 0 = never. */
  readonly maxWorkerMemoryBytes: number | null;
  /** True: a model of a repository that cannot be loaded stops the start; false: the others are served. */
  readonly strictModels: boolean;
  /** True: clients may load and unload models. */
  readonly modelControl: boolean;
  readonly linkToken: string | null;
  readonly linkInsecure: boolean;

  readonly metrics: boolean;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  readonly logFormat: 'auto' | 'json' | 'pretty';
  readonly accessLog: boolean;
  /** Where unix sockets live; null: a new private folder under the system's runtime or temp folder. */
  readonly runtimeDir: string | null;
}

export type SettingName = keyof ServerConfig;

/** The commands that serve, and that settings belong to. */
export type CommandName = 'serve' | 'start-http-server' | 'start-grpc-server' | 'start-runner-server';
