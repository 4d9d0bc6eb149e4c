import { createAccess } from '../access/create-access.js';
import type { ServerConfig } from '../config/settings.js';
import type { WorkerIdentity } from '../ipc/worker-boot.js';
import { RunnerLinks } from '../link/runner-links.js';
import { toLinkTlsOptions, toTlsOptions } from '../net/tls-files.js';
import { LocalRunner } from '../runner/local-runner.js';
import { createInvoker } from '../service/create-invoker.js';
import type { StreamLimits } from '../service/limited-stream.js';
import { loadService } from '../service/load-service.js';
import type { ProtocolServer, ProtocolServerOptions } from '../service/protocol-server.js';
import { createRequestRecorder } from '../telemetry/request-log.js';
import type { HostContext, HostedServer } from './host-worker.js';
import { createModelControl } from './model-control.js';
import { firstRunnerMap, nestedCalls } from './nested-calls.js';
import { createReadiness } from './readiness.js';
import { RunnerRoutes } from './runner-routes.js';
import { createTokenSource } from './token-source.js';

/** An HTTP or gRPC worker: the service, its runners or the links to them, and one protocol server. */
export async function startApiWorker(context: HostContext): Promise<HostedServer> {
  const { identity, boot, logger, metrics, primary, startingMounts } = context;
  const { config, manifest, tls } = boot;
  process.setSourceMapsEnabled(true);
  const links = new RunnerLinks({
    map: {},
    peer: identity.name,
    token: config.linkToken,
    logger,
    tls: toLinkTlsOptions(tls, boot.trustedCa),
  });
  const embedded = startEmbedded(context);
  const routes = new RunnerRoutes(
    links,
    embedded,
    manifest.runners.map(({ name }) => name),
  );
  routes.setMap(firstRunnerMap(), boot.unloaded);
  const [service, createServer] = await Promise.all([loadService(boot.entry), importServer(identity.role)]);
  const server = await createServer({
    service,
    manifest,
    config,
    logger,
    metrics,
    invoker: createInvoker({
      service,
      timeoutMs: config.timeout * 1000,
      streamLimits: streamLimitsOf(config),
      transport: routes,
    }),
    tls: tls === null ? undefined : toTlsOptions(tls),
    recordRequest: createRequestRecorder(logger, metrics, config.accessLog),
    readiness: createReadiness({ links, embedded: [...embedded.values()], startingMounts }),
    metricsText: () => primary.metricsText(),
    counters: (prefix) => primary.counters(prefix),
    models: createModelControl({ isOn: config.modelControl, routes, links, embedded, primary }),
    access: createAccess(config, createTokenSource(primary, logger)),
    mounts: boot.mounts.urls,
    worker: identity.name,
  });
  const ready = Promise.all([links.whenReady(), ...[...embedded.values()].map((runner) => runner.ready)]);
  return {
    ready: ready.then(() => undefined),
    accept(socket) {
      server.accept(socket);
    },
    setRunnerMap(map, unloaded) {
      routes.setMap(map, unloaded);
      for (const runner of embedded.values()) runner.setRunnerMap(map);
    },
    whenMapUsed: async (connectedTo) => {
      await Promise.all([links.whenReady(connectedTo), links.whenLeft()]);
    },
    drain: (graceMs) => drainAll(server, [links, ...embedded.values()], graceMs),
  };
}

function streamLimitsOf(config: ServerConfig): StreamLimits {
  const { timeout, streamFirstTimeout, streamIdleTimeout, streamTimeout } = config;
  return {
    firstMs: (streamFirstTimeout ?? timeout) * 1000,
    idleMs: (streamIdleTimeout ?? timeout) * 1000,
    wholeMs: streamTimeout * 1000,
  };
}

function startEmbedded(context: HostContext): ReadonlyMap<string, LocalRunner> {
  const { identity, boot, logger, metrics } = context;
  const worker = Number(identity.name.slice(identity.name.lastIndexOf('-') + 1));
  const runners = new Map<string, LocalRunner>();
  for (const { name, cpus } of boot.embedded) {
    const runner = boot.manifest.runners.find((each) => each.name === name);
    if (runner === undefined) throw new TypeError(`An API worker was booted with an unknown runner "${name}"`);
    runners.set(
      name,
      new LocalRunner({
        entry: boot.entry,
        runner,
        place: { worker, cpus, device: undefined },
        calls: nestedCalls(context),
        metrics,
        logger,
      }),
    );
  }
  return runners;
}

/** Requests first, then what they need: at the same time, since no runner of these calls another of them. */
async function drainAll(
  server: ProtocolServer,
  tiers: readonly { close(graceMs: number): Promise<void> }[],
  graceMs: number,
): Promise<void> {
  const startedAtMs = performance.now();
  await server.drain(graceMs);
  const leftMs = Math.max(0, graceMs - (performance.now() - startedAtMs));
  await Promise.all(tiers.map((tier) => tier.close(leftMs)));
}

type CreateServer = (options: ProtocolServerOptions) => Promise<ProtocolServer>;

/** Only the protocol of this worker is loaded. */
async function importServer(role: WorkerIdentity['role']): Promise<CreateServer> {
  if (role === 'grpc') return (await import('../grpc/grpc-server.js')).createGrpcServer;
  return (await import('../http/http-server.js')).createHttpServer;
}
