// Every setting as data: the loader, `--help`, config/default.yaml and the settings table are made from these rows.
// C1 A setting without a row does not compile; a row for no setting neither.
// C2 The flag and the variable follow from the name by rule, so the spellings of one setting cannot drift apart.
import type convict from 'convict';
import * as clientFormats from './client-formats.js';
import * as formats from './formats.js';
import type { Format } from './formats.js';
import type { CommandName, ServerConfig, SettingName } from './settings.js';

interface Row<T> {
  /** One sentence, with the unit of a number. */
  readonly doc: string;
  readonly format: Format<T>;
  readonly default: T;
  /** Where a command starts from another value. */
  readonly defaultOf?: Readonly<Partial<Record<CommandName, T>>>;
  /** What it starts from with `--development`. */
  readonly developmentDefault?: T;
  /** Masked everywhere, and no plain flag takes it. */
  readonly sensitive?: true;
  readonly commands: readonly CommandName[];
}

export interface Setting extends Row<unknown> {
  readonly name: SettingName;
  /** Without the dashes. */
  readonly flag: string;
  readonly env: string;
}

const SERVE = 'serve';
const HTTP = 'start-http-server';
const GRPC = 'start-grpc-server';
const RUNNER = 'start-runner-server';

export const COMMAND_NAMES: readonly CommandName[] = [SERVE, HTTP, GRPC, RUNNER];

const MAX_WORKERS = 1024;
const MAX_INT32 = 2 ** 31 - 1;
const WORKERS = formats.nullable(formats.integer('N', 1, MAX_WORKERS), 'auto');
const FILE = formats.nullable(formats.path('FILE'));
const FOLDER = formats.nullable(formats.path('FOLDER'));

const ROWS: { readonly [Name in SettingName]: Row<ServerConfig[Name]> } = {
  host: {
    doc: 'Address that the server listens on.',
    format: formats.host,
    default: '0.0.0.0',
    defaultOf: { [RUNNER]: '127.0.0.1' },
    commands: COMMAND_NAMES,
  },
  port: {
    doc: 'TCP port that the server listens on; 0 lets the kernel choose a free one.',
    format: formats.integer('PORT', 0, 65_535),
    default: 3000,
    defaultOf: { [GRPC]: 3001, [RUNNER]: 0 },
    commands: COMMAND_NAMES,
  },
  backlog: {
    doc: 'Connections that the kernel holds for the server before it accepts them.',
    format: formats.integer('N', 1, 65_535),
    default: 2048,
    commands: COMMAND_NAMES,
  },
  cpus: {
    doc: 'CPUs that all defaults are made for, API workers and threads of models alike; auto (null): what the cgroup grants.',
    format: formats.nullable(formats.integer('N', 1, MAX_WORKERS), 'auto'),
    default: null,
    commands: COMMAND_NAMES,
  },
  apiWorkers: {
    doc: 'Worker processes per protocol; auto (null): one per CPU.',
    format: WORKERS,
    default: null,
    developmentDefault: 1,
    commands: [SERVE, HTTP, GRPC],
  },
  timeout: {
    doc: 'Seconds that a request may take before it is answered DEADLINE_EXCEEDED; 0 = no limit.',
    format: formats.seconds(0),
    default: 60,
    commands: COMMAND_NAMES,
  },
  timeoutKeepAlive: {
    // Load balancers commonly keep an idle connection for 60 s: the side that gives must not be the first to close it.
    doc: 'Seconds that an idle keep-alive connection stays open; keep it above that of the load balancer in front.',
    format: formats.seconds(0.001),
    default: 75,
    commands: [SERVE, HTTP, RUNNER],
  },
  timeoutGracefulShutdown: {
    doc: 'Seconds between the stop signal and the end, whatever is still running.',
    format: formats.seconds(0),
    default: 30,
    commands: COMMAND_NAMES,
  },
  maxConcurrency: {
    doc: 'Requests that one API worker works on at a time, the others are answered QUEUE_FULL; 0 = no limit.',
    format: formats.integer('N', 0, Number.MAX_SAFE_INTEGER),
    default: 0,
    commands: [SERVE, HTTP, GRPC],
  },
  maxBodyBytes: {
    doc: 'Largest HTTP request body in bytes, or with a unit: KiB, MiB, GiB.',
    format: formats.bytes(1),
    default: 32 * 2 ** 20,
    commands: [SERVE, HTTP, RUNNER],
  },
  streamFirstTimeout: {
    doc: 'Seconds until the first value of a stream; auto (null): timeout; 0 = no limit.',
    format: formats.nullable(formats.seconds(0), 'auto'),
    default: null,
    commands: [SERVE, HTTP, GRPC],
  },
  streamIdleTimeout: {
    doc: 'Seconds between two values of a stream, while the client reads; auto (null): timeout; 0 = no limit.',
    format: formats.nullable(formats.seconds(0), 'auto'),
    default: null,
    commands: [SERVE, HTTP, GRPC],
  },
  streamTimeout: {
    doc: 'Seconds that a whole stream may take; 0 = no limit.',
    format: formats.seconds(0),
    default: 0,
    commands: [SERVE, HTTP, GRPC],
  },
  compression: {
    doc: 'Compress HTTP answers of 1 KiB and more where the client accepts that (gzip, deflate, br).',
    format: formats.boolean,
    default: true,
    commands: [SERVE, HTTP],
  },
  corsOrigins: {
    doc: 'Origins whose web pages may call, such as https://app.example.com, separated by commas; * = any.',
    format: formats.list('ORIGINS', clientFormats.origin),
    default: [],
    commands: [SERVE, HTTP],
  },
  apiKeys: {
    doc: 'Secrets, one per line or separated by commas; a client must show one of them as bearer token or as x-api-key. None: everybody may call.',
    format: clientFormats.apiKeys,
    default: [],
    sensitive: true,
    commands: [SERVE, HTTP, GRPC],
  },
  rateLimit: {
    doc: 'Requests per second that one client may send, over all workers: a client is an API key, or else an address; 0 = no limit.',
    format: clientFormats.rate,
    default: 0,
    commands: [SERVE, HTTP, GRPC],
  },
  rateLimitBurst: {
    doc: 'Requests that one client may send at once; auto (null): those of one second, at least 1.',
    format: formats.nullable(formats.integer('N', 1, MAX_INT32), 'auto'),
    default: null,
    commands: [SERVE, HTTP, GRPC],
  },
  trustedProxies: {
    doc: 'Addresses or CIDR ranges, separated by commas, whose X-Forwarded-For header names the client.',
    format: formats.list('RANGES', clientFormats.addressRange),
    default: [],
    commands: [SERVE, HTTP, GRPC],
  },
  workingDir: {
    doc: 'Folder that TARGET is relative to; null: the current folder.',
    format: FOLDER,
    default: null,
    commands: COMMAND_NAMES,
  },
  development: {
    doc: 'One worker of each kind and debug logs, where nothing else is said.',
    format: formats.boolean,
    default: false,
    commands: [SERVE],
  },

  sslCertfile: {
    doc: 'PEM file with the certificate of the server and its chain; turns TLS on.',
    format: FILE,
    default: null,
    commands: COMMAND_NAMES,
  },
  sslKeyfile: {
    doc: 'PEM file with the private key of the certificate.',
    format: FILE,
    default: null,
    commands: COMMAND_NAMES,
  },
  sslKeyfilePassword: {
    doc: 'Password of the private key.',
    format: formats.nullable(formats.text('PASSWORD')),
    default: null,
    sensitive: true,
    commands: COMMAND_NAMES,
  },
  sslVersion: {
    doc: 'Lowest TLS version that is accepted; null: TLSv1.2.',
    format: formats.nullable(formats.tlsVersion),
    default: null,
    commands: COMMAND_NAMES,
  },
  sslCertReqs: {
    doc: 'Whether clients must show a certificate that sslCaCerts signed; null: none.',
    format: formats.nullable(formats.certReqs),
    default: null,
    commands: COMMAND_NAMES,
  },
  sslCaCerts: {
    doc: 'PEM file with the authorities whose certificates are trusted.',
    format: FILE,
    default: null,
    commands: COMMAND_NAMES,
  },
  sslCiphers: {
    doc: 'Cipher suites in the format of OpenSSL; null: those of Node.',
    format: formats.nullable(formats.text('CIPHERS')),
    default: null,
    commands: COMMAND_NAMES,
  },

  grpc: {
    doc: 'Serve gRPC as well, on grpcPort.',
    format: formats.boolean,
    default: false,
    commands: [SERVE],
  },
  grpcHost: {
    doc: 'Address that the gRPC server listens on; null: that of host.',
    format: formats.nullable(formats.host),
    default: null,
    commands: [SERVE],
  },
  grpcPort: {
    doc: 'TCP port of the gRPC server; 0 lets the kernel choose a free one.',
    format: formats.integer('PORT', 0, 65_535),
    default: 3001,
    commands: [SERVE],
  },
  grpcWorkers: {
    doc: 'Worker processes for gRPC; auto (null): as many as apiWorkers.',
    format: WORKERS,
    default: null,
    developmentDefault: 1,
    commands: [SERVE],
  },
  reflection: {
    doc: 'Offer gRPC server reflection.',
    format: formats.boolean,
    default: false,
    commands: [SERVE, GRPC],
  },
  channelz: {
    doc: 'Offer the gRPC channelz service, which shows connections and calls.',
    format: formats.boolean,
    default: false,
    commands: [SERVE, GRPC],
  },
  maxConcurrentStreams: {
    doc: 'Calls in flight on one gRPC connection; 0 = 4096, more than any client needs and few enough to hold.',
    format: formats.integer('N', 0, MAX_INT32),
    default: 0,
    commands: [SERVE, GRPC],
  },
  maxMessageLength: {
    doc: 'Largest gRPC message in bytes, in both directions; -1 = no limit.',
    format: formats.integer('BYTES', 1, MAX_INT32, -1),
    default: 33_554_432,
    commands: [SERVE, GRPC],
  },
  maxConnectionAge: {
    doc: 'Seconds, give or take 10 %, after which a gRPC client is told to connect again, so that load spreads to new workers; 0 = never.',
    format: formats.seconds(0),
    default: 0,
    commands: [SERVE, GRPC],
  },
  maxConnectionAgeGrace: {
    doc: 'Seconds that calls in flight get on a gRPC connection beyond maxConnectionAge; 0 = no limit.',
    format: formats.seconds(0),
    default: 30,
    commands: [SERVE, GRPC],
  },
  protocolVersion: {
    doc: "Version of BentoML's gRPC API that is served beside the Open Inference Protocol.",
    format: formats.oneOf('v1', 'v1alpha1'),
    default: 'v1',
    commands: [SERVE, GRPC],
  },

  runnerName: {
    doc: 'Name of the runner that is started.',
    format: formats.nullable(formats.runnerName),
    default: null,
    commands: [RUNNER],
  },
  runnerMap: {
    doc: 'Where runners answer that are not started here: {"<runner>": ["tcp://host:port", "tls://host:port" or "unix:///path"]}.',
    format: formats.runnerMap,
    default: {},
    commands: COMMAND_NAMES,
  },
  runnerWorkers: {
    doc: 'Worker processes per runner; auto (null): what the service says.',
    format: WORKERS,
    default: null,
    developmentDefault: 1,
    commands: [SERVE, RUNNER],
  },
  maxWorkerMemoryBytes: {
    doc: 'Resident memory in bytes, or with a unit, above which a worker is replaced without losing a call; auto (null): the workers share what the cgroup grants; 0 = never.',
    format: formats.nullable(formats.bytes(0), 'auto'),
    default: null,
    commands: COMMAND_NAMES,
  },
  strictModels: {
    doc: 'Stop the start where a model of a repository cannot be loaded; otherwise it is reported and the others are served.',
    format: formats.boolean,
    default: false,
    commands: COMMAND_NAMES,
  },
  modelControl: {
    doc: 'Let clients load and unload models by the repository requests of the Open Inference Protocol.',
    format: formats.boolean,
    default: false,
    commands: [SERVE],
  },
  linkToken: {
    doc: 'Secret that API servers and runner servers share, for runner links over TCP.',
    format: formats.nullable(formats.text('TOKEN')),
    default: null,
    sensitive: true,
    commands: COMMAND_NAMES,
  },
  linkInsecure: {
    doc: 'Allow runner links over plain TCP to other machines with neither TLS nor a token.',
    format: formats.boolean,
    default: false,
    commands: COMMAND_NAMES,
  },

  metrics: {
    doc: 'Count and time requests and offer the numbers at /metrics.',
    format: formats.boolean,
    default: true,
    commands: COMMAND_NAMES,
  },
  logLevel: {
    doc: 'Least severe log lines that are written.',
    format: formats.oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    default: 'info',
    developmentDefault: 'debug',
    commands: COMMAND_NAMES,
  },
  logFormat: {
    doc: 'JSON lines, or lines for people (pretty); auto: pretty on a terminal.',
    format: formats.oneOf('auto', 'json', 'pretty'),
    default: 'auto',
    commands: COMMAND_NAMES,
  },
  accessLog: {
    doc: 'Write a log line per request.',
    format: formats.boolean,
    default: true,
    commands: COMMAND_NAMES,
  },
  runtimeDir: {
    doc: "Folder for unix sockets; null: a new private one under the system's runtime or temporary folder.",
    format: FOLDER,
    default: null,
    commands: COMMAND_NAMES,
  },
};

/** `sslCertReqs` → `ssl-cert-reqs`. */
function toFlag(name: SettingName): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** In the order of the rows, which is the order of help and documents. */
export const SETTINGS: readonly Setting[] = (Object.keys(ROWS) as SettingName[]).map((name) => {
  const flag = toFlag(name);
  return { ...ROWS[name], name, flag, env: `JUBAKO_${flag.toUpperCase().replaceAll('-', '_')}` };
});

export const SETTING_BY_NAME: ReadonlyMap<string, Setting> = new Map(
  SETTINGS.map((setting) => [setting.name, setting]),
);

/** Where a setting starts from in a command. */
export function defaultFor(setting: Setting, command: CommandName): unknown {
  const own = setting.defaultOf?.[command];
  return own === undefined ? setting.default : own;
}

/** The rows as convict takes them. */
export function convictSchema(command: CommandName): convict.Schema<ServerConfig> {
  const rows = SETTINGS.map((setting) => {
    const { name, doc, env, flag, sensitive, format } = setting;
    const check = (value: unknown): void => {
      format.read(value, '/');
    };
    return [
      name,
      { doc, env, arg: flag, sensitive: sensitive === true, default: defaultFor(setting, command), format: check },
    ];
  });
  return Object.fromEntries(rows) as convict.Schema<ServerConfig>;
}
