import { randomBytes } from 'node:crypto';
import { createTokenBuckets } from '../access/create-access.js';
import type { CommandName, LoadedConfig } from '../config/load-config.js';
import type { ServerConfig } from '../config/settings.js';
import { JubakoError } from '../errors.js';
import { RuntimeDir } from '../net/runtime-dir.js';
import { readTlsMaterial, readTrustedCa } from '../net/tls-files.js';
import { createLogger } from '../telemetry/logger.js';
import { announceListening, announcePlan, announceReady } from './announce.js';
import { describe } from './describe.js';
import { readMachine } from './machine.js';
import { MetricsHub } from './metrics-hub.js';
import { MountedApps } from './mounted-apps.js';
import { makePlan } from './plan.js';
import { RunnerControl } from './runner-control.js';
import { ServerLife } from './server-life.js';
import { ServerPools } from './server-pools.js';
import { ServerPort, portsOf, type ServerAddresses } from './server-ports.js';
import { checkAffinity, checkRunnerExposure, openWorkingDir } from './start-checks.js';
import { unlessAborted } from './unless-aborted.js';
import { WorkerAsks } from './worker-asks.js';
import { WorkerWatch } from './worker-watch.js';

export type { ServerAddresses } from './server-ports.js';

export interface StartOptions {
  readonly command: CommandName;
  readonly target: string;
  readonly loaded: LoadedConfig;
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
  const ports: ServerPort[] = [];
  for (const wanted of portsOf(command, config)) {
    const port = await ServerPort.bind(wanted);
    ports.push(port);
    life.addPort(port);
    addresses[port.name] = port.address(tls !== null);
  }
  announceListening(logger, addresses);

  const runtimeDir = RuntimeDir.create(config.runtimeDir, process.env);
  life.runtimeDir = runtimeDir;
  const { manifest, entry, warnings } = await describe(
    {
      target,
      serviceFile: loaded.serviceFile ?? null,
      workingDir,
      runtimeDir: runtimeDir.path,
      strict: config.strictModels,
    },
    life.stopping,
  );
  const plan = makePlan({ command, config, manifest, machine: readMachine(config, process.env) });
  await checkAffinity(plan);
  life.stopping.throwIfAborted();
  announcePlan(logger, plan, warnings);

  const metrics = new MetricsHub(() => pools.workers);
  const apps = await MountedApps.create({
    mounts: plan.mounts,
    workingDir,
    logger,
    metrics: metrics.own,
    onStarted: () => {
      pools.tellMounts();
    },
  });
  life.stopping.throwIfAborted();
  const boot = { config, workingDir, tls, trustedCa, entry, manifest, runtimeDir: runtimeDir.path };
  const pools: ServerPools = new ServerPools({
    plan,
    boot,
    mounts: () => apps.boot,
    runtimeDir,
    logger,
    metrics,
    onMessage: (worker, message) => {
      asks.onMessage(worker, message);
    },
    onReady: (worker) => {
      watch.onReady(worker);
    },
  });
  const graceMs = graceOfReplaced(config);
  const { runners } = manifest;
  const control = new RunnerControl({ runners, pools, graceMs, stopping: life.stopping, logger });
  const asks = new WorkerAsks({
    metrics,
    confirmations: pools.confirmations,
    control: config.modelControl ? control : undefined,
    tokens: createTokenBuckets(config),
  });
  const watch = new WorkerWatch({
    pools: pools.list,
    maxWorkerMemoryBytes: plan.maxWorkerMemoryBytes,
    graceMs,
    logger,
    metrics: metrics.own,
  });
  for (const pool of pools.list) {
    if (!pool.plan.hasSockets) ports.find(({ name }) => name === pool.plan.role)?.serveWith(pool);
    life.addPool(pool);
  }
  watch.start();
  life.stopping.addEventListener('abort', () => {
    watch.stop();
  });
  life.addApps(apps);
  await unlessAborted(life.stopping, Promise.all([apps.start(), pools.start()]));
  life.becameReady();
  control.serverIsUp();
  announceReady(logger, { command, manifest, plan, addresses, startMs: Math.round(performance.now() - startedAtMs) });
}

/** Nobody is in a hurry when a worker is replaced: a request may take as long as it may. */
function graceOfReplaced({ timeout, timeoutGracefulShutdown }: ServerConfig): number {
  return Math.max(timeout, timeoutGracefulShutdown) * 1000;
}
