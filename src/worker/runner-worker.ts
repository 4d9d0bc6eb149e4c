import type { PrimaryChannel } from '../ipc/channel.js';
import type { WorkerBoot, WorkerIdentity } from '../ipc/worker-boot.js';
import { toTlsOptions } from '../net/tls-files.js';
import { startRunnerServer, type RunnerServer } from '../runner/runner-server.js';
import { createLogger } from '../telemetry/logger.js';
import { Metrics } from '../telemetry/metrics.js';
import { bootOrRefuse, superviseWorker } from './lifecycle.js';
import { createMetricsAsker } from './metrics-asker.js';

/** A runner worker: one model in a compute thread, and the server that callers reach it by. */
export function runRunnerWorker(identity: WorkerIdentity, channel: PrimaryChannel): void {
  let drain: ((graceMs: number) => void) | undefined;
  let server: RunnerServer | undefined;
  const metrics = new Metrics();
  const asker = createMetricsAsker(channel, metrics);

  channel.onMessage((message, socket) => {
    switch (message.type) {
      case 'boot':
        void bootOrRefuse(channel, () => boot(message.boot));
        return;
      case 'connection':
        if (socket === undefined) return;
        if (server === undefined) {
          socket.destroy();
          channel.send({ type: 'rejected', connectionId: message.connectionId });
          return;
        }
        server.accept(socket);
        channel.send({ type: 'accepted', connectionId: message.connectionId });
        return;
      case 'metricsText':
        asker.answered(message.requestId, message.text);
        return;
      case 'drain':
        if (drain === undefined) process.exit(0);
        drain(message.graceMs);
        return;
      case 'runnerMap':
      case 'describe':
        return;
      default:
        message satisfies never;
    }
  });

  async function boot(boot: WorkerBoot): Promise<void> {
    const { config, runner, runtimeDir } = boot;
    const manifest = boot.manifest.runners.find(({ name }) => name === runner?.name);
    if (runner === null || manifest === undefined) throw new TypeError('A runner worker was booted without a runner');
    process.chdir(boot.workingDir);
    const logger = await createLogger({ config, worker: identity.name });
    const started = await startRunnerServer({
      entry: boot.entry,
      runner: manifest,
      socketPath: runner.socketPath,
      tls: boot.tls === null || runner.socketPath !== null ? undefined : toTlsOptions(boot.tls),
      worker: identity.name,
      config,
      logger,
      metrics,
      metricsText: () => asker.ask(),
    });
    server = started;
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
  }
}
