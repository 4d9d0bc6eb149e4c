import type { PrimaryChannel } from '../ipc/channel.js';
import type { WorkerBoot, WorkerIdentity } from '../ipc/worker-boot.js';
import { RunnerLinks } from '../link/runner-links.js';
import { toLinkTlsOptions, toTlsOptions } from '../net/tls-files.js';
import { createInvoker } from '../service/create-invoker.js';
import { loadService } from '../service/load-service.js';
import type { ProtocolServer, ProtocolServerOptions } from '../service/protocol-server.js';
import { createLogger, type Logger } from '../telemetry/logger.js';
import { Metrics } from '../telemetry/metrics.js';
import { createRequestRecorder } from '../telemetry/request-log.js';
import { bootOrRefuse, superviseWorker } from './lifecycle.js';
import { createMetricsAsker } from './metrics-asker.js';

/** An HTTP or gRPC worker: the service, its links to the runners, and one protocol server on connections handed in. */
export function runApiWorker(identity: WorkerIdentity, channel: PrimaryChannel): void {
  let drain: ((graceMs: number) => void) | undefined;
  let links: RunnerLinks | undefined;
  let server: ProtocolServer | undefined;
  const metrics = new Metrics();
  const asker = createMetricsAsker(channel, metrics);

  channel.onMessage((message, socket) => {
    switch (message.type) {
      case 'boot':
        void bootOrRefuse(channel, () => boot(message.boot));
        return;
      case 'connection':
        if (socket === undefined) return; // the client had gone before the handle was sent
        if (server === undefined) {
          socket.destroy();
          channel.send({ type: 'rejected', connectionId: message.connectionId });
          return;
        }
        server.accept(socket);
        channel.send({ type: 'accepted', connectionId: message.connectionId });
        return;
      case 'runnerMap':
        links?.setMap(message.map);
        return;
      case 'metricsText':
        asker.answered(message.requestId, message.text);
        return;
      case 'drain':
        if (drain === undefined) process.exit(0);
        drain(message.graceMs);
        return;
      case 'describe':
        return;
      default:
        message satisfies never;
    }
  });

  async function boot(boot: WorkerBoot): Promise<void> {
    const { config, manifest, runtimeDir } = boot;
    process.chdir(boot.workingDir);
    process.setSourceMapsEnabled(true);
    const logger = await createLogger({ config, worker: identity.name });
    links = new RunnerLinks({
      map: requiredRunners(boot),
      peer: identity.name,
      token: config.linkToken,
      logger,
      tls: toLinkTlsOptions(boot.tls, boot.trustedCa),
    });
    const opened = links;
    const [service, createServer] = await Promise.all([loadService(boot.entry), importServer(identity.role)]);
    const created = await createServer({
      service,
      manifest,
      config,
      logger,
      metrics,
      invoker: createInvoker({ service, timeoutMs: config.timeout * 1000, transport: (call) => opened.call(call) }),
      tls: boot.tls === null ? undefined : toTlsOptions(boot.tls),
      recordRequest: createRequestRecorder(logger, metrics, config.accessLog),
      readiness: () => opened.readiness(),
      metricsText: () => asker.ask(),
      worker: identity.name,
    });
    server = created;
    const supervised = superviseWorker({
      channel,
      logger,
      metrics,
      runtimeDir,
      drain: (graceMs) => drainAll(created, opened, graceMs, logger),
    });
    drain = (graceMs) => {
      supervised.drain(graceMs);
    };
    channel.send({ type: 'accepting' });
    await links.whenReady();
    channel.send({ type: 'ready' });
  }
}

/** Requests first, then the links that they need. */
async function drainAll(server: ProtocolServer, links: RunnerLinks, graceMs: number, logger: Logger): Promise<void> {
  const startedAtMs = performance.now();
  await server.drain(graceMs);
  const drainedMs = performance.now() - startedAtMs;
  await links.close(Math.max(0, graceMs - drainedMs));
  logger.debug({ event: 'worker.drained', drainedMs: Math.round(drainedMs) }, 'drained');
}

/** The part of the runner map that this service uses; a map may serve several services. */
function requiredRunners({ manifest }: WorkerBoot): Record<string, readonly string[]> {
  const map = JSON.parse(process.env['JUBAKO_RUNNER_MAP'] ?? '{}') as Record<string, readonly string[]>;
  const names = new Set(manifest.runners.map(({ name }) => name));
  return Object.fromEntries(Object.entries(map).filter(([name]) => names.has(name)));
}

type CreateServer = (options: ProtocolServerOptions) => Promise<ProtocolServer>;

/** Only the protocol of this worker is loaded. */
async function importServer(role: WorkerIdentity['role']): Promise<CreateServer> {
  if (role === 'grpc') return (await import('../grpc/grpc-server.js')).createGrpcServer;
  return (await import('../http/http-server.js')).createHttpServer;
}
