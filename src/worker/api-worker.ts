import type { RunnerMap } from '../config/addresses.js';
import type { Manifest } from '../ipc/manifest.js';
import type { WorkerIdentity } from '../ipc/worker-boot.js';
import { RunnerLinks, type LinkReadiness } from '../link/runner-links.js';
import { toLinkTlsOptions, toTlsOptions } from '../net/tls-files.js';
import { createInvoker } from '../service/create-invoker.js';
import { loadService } from '../service/load-service.js';
import type { ProtocolServer, ProtocolServerOptions, Readiness } from '../service/protocol-server.js';
import { createRequestRecorder } from '../telemetry/request-log.js';
import type { HostContext, HostedServer } from './host-worker.js';

/** An HTTP or gRPC worker: the service, its links to the runners, and one protocol server. */
export async function startApiWorker(context: HostContext): Promise<HostedServer> {
  const { identity, boot, logger, metrics, metricsText } = context;
  const { config, manifest, tls } = boot;
  process.setSourceMapsEnabled(true);
  const links = new RunnerLinks({
    map: requiredRunners(manifest, JSON.parse(process.env['JUBAKO_RUNNER_MAP'] ?? '{}') as RunnerMap),
    peer: identity.name,
    token: config.linkToken,
    logger,
    tls: toLinkTlsOptions(tls, boot.trustedCa),
  });
  const [service, createServer] = await Promise.all([loadService(boot.entry), importServer(identity.role)]);
  const server = await createServer({
    service,
    manifest,
    config,
    logger,
    metrics,
    invoker: createInvoker({ service, timeoutMs: config.timeout * 1000, transport: (call) => links.call(call) }),
    tls: tls === null ? undefined : toTlsOptions(tls),
    recordRequest: createRequestRecorder(logger, metrics, config.accessLog),
    readiness: () => toReadiness(links.readiness()),
    metricsText,
    worker: identity.name,
  });
  return {
    ready: links.whenReady(),
    accept(socket) {
      server.accept(socket);
    },
    setRunnerMap(map) {
      links.setMap(requiredRunners(manifest, map));
    },
    drain: (graceMs) => drainAll(server, links, graceMs),
  };
}

/** Anybody may ask for it: addresses, and why a connection fails, stand in the log. */
function toReadiness(links: LinkReadiness): Readiness {
  return links.ready ? links : { ready: false, reason: `runner "${links.runner}" is not connected` };
}

/** Requests first, then the links that they need. */
async function drainAll(server: ProtocolServer, links: RunnerLinks, graceMs: number): Promise<void> {
  const startedAtMs = performance.now();
  await server.drain(graceMs);
  await links.close(Math.max(0, graceMs - (performance.now() - startedAtMs)));
}

/** The part of the runner map that this service uses; a map may serve several services. */
function requiredRunners(manifest: Manifest, map: RunnerMap): RunnerMap {
  const names = new Set(manifest.runners.map(({ name }) => name));
  return Object.fromEntries(Object.entries(map).filter(([name]) => names.has(name)));
}

type CreateServer = (options: ProtocolServerOptions) => Promise<ProtocolServer>;

/** Only the protocol of this worker is loaded. */
async function importServer(role: WorkerIdentity['role']): Promise<CreateServer> {
  if (role === 'grpc') return (await import('../grpc/grpc-server.js')).createGrpcServer;
  return (await import('../http/http-server.js')).createHttpServer;
}
