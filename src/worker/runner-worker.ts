import { toTlsOptions } from '../net/tls-files.js';
import { startRunnerServer, type RunnerServer } from '../runner/runner-server.js';
import type { HostContext } from './host-worker.js';
import { nestedCalls } from './nested-calls.js';

/** A runner worker: one model in its compute threads, and the server that callers reach it by. */
export function startRunnerWorker(context: HostContext): Promise<RunnerServer> {
  const { identity, boot, logger, metrics, primary } = context;
  const { config, runner, tls } = boot;
  const manifest = boot.manifest.runners.find(({ name }) => name === runner?.name);
  if (runner === null || manifest === undefined) throw new TypeError('A runner worker was booted without a runner');
  return startRunnerServer({
    entry: boot.entry,
    runner: manifest,
    place: { worker: runner.worker, cpus: runner.cpus, device: runner.device ?? undefined },
    calls: nestedCalls(context),
    socketPath: runner.socketPath,
    // A unix socket is reached by this machine only, and by this user only.
    tls: tls === null || runner.socketPath !== null ? undefined : toTlsOptions(tls),
    worker: identity.name,
    config,
    logger,
    metrics,
    metricsText: () => primary.metricsText(),
  });
}
