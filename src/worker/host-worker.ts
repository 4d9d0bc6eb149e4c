import type { Socket } from 'node:net';
import type { PrimaryChannel } from '../ipc/channel.js';
import type { WorkerBoot, WorkerIdentity } from '../ipc/worker-boot.js';
import { createLogger, type Logger } from '../telemetry/logger.js';
import { Metrics } from '../telemetry/metrics.js';
import { bootOrRefuse, superviseWorker } from './lifecycle.js';
import { createMetricsAsker } from './metrics-asker.js';

/** What a role gets to start with. */
export interface HostContext {
  readonly identity: WorkerIdentity;
  readonly boot: WorkerBoot;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Prometheus text of all processes of this server together. */
  readonly metricsText: () => Promise<string>;
}

/** What a role gives back once it can take connections. */
export interface HostedServer {
  accept(socket: Socket): void;
  /** Resolves when it is warm and connected; rejects with what kept it from that. */
  readonly ready: Promise<void>;
  /** Finishes the work at hand; never rejects. */
  drain(graceMs: number): Promise<void>;
  setRunnerMap?(map: Readonly<Record<string, readonly string[]>>): void;
}

/** The life of a serving worker: boots when told to, takes connections, drains when told to. */
export function hostWorker(
  identity: WorkerIdentity,
  channel: PrimaryChannel,
  start: (context: HostContext) => Promise<HostedServer>,
): void {
  let server: HostedServer | undefined;
  let drain: ((graceMs: number) => void) | undefined;
  /** The last one that came; it may come before there is a server. */
  let runnerMap: Readonly<Record<string, readonly string[]>> | undefined;
  const metrics = new Metrics();
  const asker = createMetricsAsker(channel, metrics);

  const boot = async (message: WorkerBoot): Promise<void> => {
    process.chdir(message.workingDir);
    const logger = await createLogger({ config: message.config, worker: identity.name });
    const started = await start({ identity, boot: message, logger, metrics, metricsText: () => asker.ask() });
    server = started;
    if (runnerMap !== undefined) started.setRunnerMap?.(runnerMap);
    const { runtimeDir } = message;
    const supervised = superviseWorker({
      channel,
      logger,
      metrics,
      runtimeDir,
      drain: (graceMs) => started.drain(graceMs),
    });
    drain = (graceMs) => {
      supervised.drain(graceMs);
    };
    channel.send({ type: 'accepting' });
    await started.ready;
    channel.send({ type: 'ready' });
  };

  const take = (connectionId: number, socket: Socket | undefined): void => {
    if (socket === undefined) return; // the client had gone before the handle was sent
    if (server === undefined) {
      socket.destroy();
      channel.send({ type: 'rejected', connectionId });
      return;
    }
    server.accept(socket);
    channel.send({ type: 'accepted', connectionId });
  };

  channel.onMessage((message, socket) => {
    switch (message.type) {
      case 'boot':
        void bootOrRefuse(channel, () => boot(message.boot));
        return;
      case 'connection':
        take(message.connectionId, socket);
        return;
      case 'runnerMap':
        runnerMap = message.map;
        server?.setRunnerMap?.(runnerMap);
        return;
      case 'metricsText':
        asker.answered(message.requestId, message.text);
        return;
      case 'drain':
        if (drain === undefined) process.exit(0); // nothing was accepted yet
        drain(message.graceMs);
        return;
      case 'describe':
        throw new TypeError('A serving worker was asked to describe');
      default:
        message satisfies never;
    }
  });
}
