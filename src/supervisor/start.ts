import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { formatHostPort, isLoopback } from '../config/addresses.js';
import { cpuCount } from '../config/cpu-count.js';
import type { CommandName, LoadedConfig } from '../config/load-config.js';
import type { ServerConfig } from '../config/settings.js';
import { JubakoError } from '../errors.js';
import type { WorkerBoot } from '../ipc/worker-boot.js';
import { bindListener, type Listener } from '../net/bind-listener.js';
import { RuntimeDir } from '../net/runtime-dir.js';
import { readTlsMaterial, readTrustedCa } from '../net/tls-files.js';
import { createLogger } from '../telemetry/logger.js';
import { ConnectionDispatcher } from './connection-dispatcher.js';
import { curlLine } from './curl-line.js';
import { describe, type Description } from './describe.js';
import { forkWorker } from './forked-worker.js';
import { MetricsHub } from './metrics-hub.js';
import { makePlan, type Plan, type PoolPlan } from './plan.js';
import { Pool } from './pool.js';
import { ServerLife } from './server-life.js';

export interface StartOptions {
  readonly command: CommandName;
  readonly target: string;
  readonly loaded: LoadedConfig;
}

/** Where the server answers; a tier that does not run is absent. Ports are as bound, never 0. */
export interface ServerAddresses {
  /** `http://localhost:3000`, `https://…` with a certificate. */
  readonly http?: string;
  /** `localhost:3001`, as gRPC clients take it. */
  readonly grpc?: string;
  /** `tcp://127.0.0.1:7001`, `tls://…` with a certificate, as runner maps take it. */
  readonly runner?: string;
}

/** A server that runs in this process's tree. */
export interface ServerHandle {
  /** Resolves when every worker is warm and connected; rejects with what kept the server from that. */
  readonly ready: Promise<void>;
  /** Complete once `ready` has resolved. */
  readonly addresses: ServerAddresses;
  /** Resolves with the exit code when every process has ended. */
  readonly closed: Promise<number>;
  /** Drains: what was accepted is answered, within `timeoutGracefulShutdown`. */
  close(): Promise<void>;
  /** Ends every process at once. */
  kill(): void;
}

type MutableAddresses = { -readonly [K in keyof ServerAddresses]: ServerAddresses[K] };

/** Starts a server and returns at once; it binds, describes, forks and watches from here on. */
export function startServer(options: StartOptions): ServerHandle {
  const addresses: MutableAddresses = {};
  const life = new ServerLife(options.loaded.config.timeoutGracefulShutdown * 1000);
  const ready = run(options, life, addresses).catch(async (thrown: unknown) => {
    const error = JubakoError.from(thrown);
    await life.stop(error.kind.exit);
    throw error;
  });
  ready.catch(() => undefined); // `closed` tells as well; nobody may be waiting for `ready`
  return {
    ready,
    addresses,
    closed: life.closed,
    close: () => life.stop(0),
    kill: () => {
      life.kill();
    },
  };
}

async function run(options: StartOptions, life: ServerLife, addresses: MutableAddresses): Promise<void> {
  const { command, target, loaded } = options;
  const { config } = loaded;
  const startedAtMs = performance.now();
  checkRunnerExposure(command, config);
  const workingDir = openWorkingDir(config.workingDir);
  const logger = await createLogger({ config, worker: 'primary' });
  life.logger = logger;
  const trustedCa = readTrustedCa(config.sslCaCerts);
  const tls = readTlsMaterial(config, trustedCa, randomBytes(48)) ?? null;

  // Ports first: a port that is taken should be known before anything else is begun.
  const dispatchers = new Map<
    string,
    { listener: Listener; dispatcher: ConnectionDispatcher; pool: Pool | undefined }
  >();
  for (const wanted of listenersOf(command, config)) {
    const entry: { listener: Listener; dispatcher: ConnectionDispatcher; pool: Pool | undefined } = {
      dispatcher: new ConnectionDispatcher(() => entry.pool?.workers.filter((worker) => worker.accepts) ?? []),
      listener: await bindListener(wanted, (socket) => {
        entry.dispatcher.add(socket);
      }),
      pool: undefined,
    };
    dispatchers.set(wanted.name, entry);
    life.addListener(entry.listener, entry.dispatcher);
    addresses[wanted.name] = urlOf(wanted.name, entry.listener, tls !== null);
  }

  logger.info({ event: 'server.listening', addresses }, `listening on ${Object.values(addresses).join(', ')}`);

  const runtimeDir = RuntimeDir.create(config.runtimeDir, process.env);
  life.runtimeDir = runtimeDir;
  const describerBoot = { target, serviceFile: loaded.serviceFile ?? null, workingDir, runtimeDir: runtimeDir.path };
  const description = await describe(describerBoot, life.stopping);
  const plan = makePlan({
    command,
    config,
    manifest: description.manifest,
    cpus: cpuCount(),
    socketPath: (name) => runtimeDir.socketPath(name),
  });
  life.stopping.throwIfAborted();

  const metrics = new MetricsHub();
  const bootOf = (poolPlan: PoolPlan, index: number): WorkerBoot => ({
    config,
    workingDir,
    tls,
    trustedCa,
    entry: description.entry,
    manifest: description.manifest,
    runtimeDir: runtimeDir.path,
    runner:
      poolPlan.runner === null ? null : { name: poolPlan.runner, socketPath: poolPlan.socketPaths?.[index] ?? null },
  });
  const env = { JUBAKO_RUNNER_MAP: JSON.stringify(plan.runnerMap) };
  const apiPools = (): readonly Pool[] => pools.filter((pool) => pool.plan.role !== 'runner');
  const pools = plan.pools.map((poolPlan): Pool => {
    const pool = new Pool({
      plan: poolPlan,
      logger,
      metrics: metrics.own,
      onMessage: (worker, message) => {
        metrics.onMessage(worker, message);
      },
      onReady: (worker) => {
        // Callers connect at once instead of at their next try.
        if (worker.role === 'runner')
          for (const api of apiPools()) api.send({ type: 'runnerMap', map: plan.runnerMap });
      },
      onExit: (worker) => {
        metrics.forget(worker.name);
      },
      fork: (name, index) => ({
        fork: (listeners) => forkWorker({ role: poolPlan.role, name }, env, listeners),
        boot: () => ({ type: 'boot', boot: bootOf(poolPlan, index) }),
      }),
    });
    const entry = dispatchers.get(poolPlan.role);
    if (entry !== undefined && poolPlan.socketPaths === null) {
      entry.pool = pool;
      pool.dispatcher = entry.dispatcher;
    }
    life.addPool(pool);
    return pool;
  });
  await Promise.race([Promise.all(pools.map((pool) => pool.start())), rejectWhenAborted(life.stopping)]);
  life.becameReady();
  announce(options, description, plan, addresses, Math.round(performance.now() - startedAtMs), life);
}

/** Pools of a server that is told to stop never become ready. */
function rejectWhenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const onAbort = (): void => {
      reject(JubakoError.from(signal.reason));
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}

interface WantedListener {
  readonly name: 'http' | 'grpc' | 'runner';
  readonly what: string;
  readonly host: string;
  readonly port: number;
  readonly backlog: number;
}

function listenersOf(command: CommandName, config: ServerConfig): readonly WantedListener[] {
  const { host, port, backlog } = config;
  const grpcOfServe: WantedListener = {
    name: 'grpc',
    what: 'gRPC',
    host: config.grpcHost ?? host,
    port: config.grpcPort,
    backlog,
  };
  switch (command) {
    case 'serve':
      return [{ name: 'http', what: 'HTTP', host, port, backlog }, ...(config.grpc ? [grpcOfServe] : [])];
    case 'start-http-server':
      return [{ name: 'http', what: 'HTTP', host, port, backlog }];
    case 'start-grpc-server':
      return [{ name: 'grpc', what: 'gRPC', host, port, backlog }];
    case 'start-runner-server':
      return [{ name: 'runner', what: `runner "${config.runnerName ?? ''}"`, host, port, backlog }];
    default:
      return command satisfies never;
  }
}

function urlOf(name: WantedListener['name'], { host, port }: Listener, isTls: boolean): string {
  const reachable = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  const authority = formatHostPort(reachable, port);
  if (name === 'grpc') return authority;
  if (name === 'runner') return `${isTls ? 'tls' : 'tcp'}://${authority}`;
  return `${isTls ? 'https' : 'http'}://${authority}`;
}

/** @throws {JubakoError} CONFIG_INVALID - it is no folder. */
function openWorkingDir(setting: string | null): string {
  const folder = resolve(setting ?? '.');
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) return folder;
  throw new JubakoError('CONFIG_INVALID', `Cannot work in workingDir "${folder}": it is no folder`);
}

/** Whoever reaches a runner can run its model: off this machine only with a token, or by the user's own word. */
function checkRunnerExposure(command: CommandName, config: ServerConfig): void {
  if (command !== 'start-runner-server' || isLoopback(config.host)) return;
  const asksForCertificate = config.sslCertfile !== null && config.sslCertReqs === 'required';
  if (config.linkToken !== null || config.linkInsecure || asksForCertificate) return;
  throw new JubakoError(
    'CONFIG_INVALID',
    `Cannot open a runner on "${config.host}" without a token: others could call it; set JUBAKO_LINK_TOKEN or --link-token-file on both tiers, ` +
      'ask for client certificates (sslCertReqs required), bind 127.0.0.1, or allow it with --link-insecure',
  );
}

function announce(
  options: StartOptions,
  { manifest }: Description,
  plan: Plan,
  addresses: ServerAddresses,
  startMs: number,
  life: ServerLife,
): void {
  const workers = Object.fromEntries(plan.pools.map(({ name, workers: count }) => [name, count]));
  const grpc = addresses.grpc === undefined ? undefined : `gRPC ${addresses.grpc}`;
  const where = [addresses.http, grpc, addresses.runner].filter((address) => address !== undefined).join(', ');
  life.logger?.info(
    { event: 'server.ready', command: options.command, service: manifest.name, addresses, workers, startMs },
    `${manifest.name} is ready on ${where}`,
  );
  const curl = addresses.http === undefined ? undefined : curlLine(manifest, addresses.http);
  if (curl !== undefined) life.logger?.info({ event: 'server.example', curl }, `try it: ${curl}`);
}
