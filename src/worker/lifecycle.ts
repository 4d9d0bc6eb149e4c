import cluster from 'node:cluster';
import { JubakoError } from '../errors.js';
import type { PrimaryChannel } from '../ipc/channel.js';
import { removeRuntimeDir } from '../net/runtime-dir.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';

// What all workers have in common around their beginning and their end.
// K1 The primary alone decides when a worker goes: signals that reach the whole process group (Ctrl+C) are not for it.
// K2 A worker whose primary has died drains briefly and goes, and takes its files along.

/** Time that requests get when the primary has died, in ms: the port must be free again within a second. */
const ORPHAN_GRACE_MS = 500;
const METRICS_PUSH_MS = 1000;

export function ignoreSignals(): void {
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
}

/** Runs `boot`; a failure is told to the primary and ends this process with its exit code. */
export async function bootOrRefuse(channel: PrimaryChannel, boot: () => Promise<void>): Promise<void> {
  try {
    await boot();
  } catch (thrown) {
    const error = JubakoError.from(thrown);
    const stack = stackOfUser(error);
    const body = { code: error.code, message: error.message, ...(stack !== undefined && { details: { stack } }) };
    await channel.sendLast({ type: 'bootRefused', error: body });
    process.exit(error.kind.exit);
  }
}

function stackOfUser({ cause, code, details, stack }: JubakoError): string | undefined {
  if (typeof details === 'object' && details !== null && 'stack' in details) return String(details.stack);
  if (cause instanceof Error) return cause.stack;
  return code === 'INTERNAL' ? stack : undefined;
}

export interface WorkerEndOptions {
  readonly channel: PrimaryChannel;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly runtimeDir: string;
  /** Finishes the work at hand; never rejects. */
  readonly drain: (graceMs: number) => Promise<void>;
}

/** Pushes what is counted, drains when told to or when the primary has died, then ends this process. */
export function superviseWorker(options: WorkerEndOptions): { drain(graceMs: number): void } {
  const { channel, logger, metrics, runtimeDir } = options;
  const push = setInterval(() => {
    channel.send({ type: 'metrics', delta: metrics.takeDelta(), collectId: null });
  }, METRICS_PUSH_MS);
  let ending = false;
  const end = async (graceMs: number, isOrphan: boolean): Promise<void> => {
    if (ending) return;
    ending = true;
    clearInterval(push);
    const startedAtMs = performance.now();
    await options.drain(graceMs);
    logger.debug({ event: 'worker.drained', drainedMs: Math.round(performance.now() - startedAtMs) }, 'drained');
    await channel.sendLast({ type: 'metrics', delta: metrics.takeDelta(), collectId: null });
    if (isOrphan) removeRuntimeDir(runtimeDir);
    logger.flush(() => {
      process.exit(0);
    });
  };

  // node:cluster ends a worker at once when its primary dies, unless this says that it is leaving anyway (K2).
  if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true;
  channel.onGone(() => {
    logger.warn({ event: 'primary.lost' }, 'the primary has died, this worker leaves');
    setTimeout(() => {
      removeRuntimeDir(runtimeDir);
      process.exit(0);
    }, ORPHAN_GRACE_MS + 200).unref();
    void end(ORPHAN_GRACE_MS, true);
  });
  process.on('uncaughtException', (err, origin) => {
    logger.fatal({ event: 'worker.failed', err, origin }, `${origin}: ${err.message}`);
    logger.flush(() => {
      process.exit(1);
    });
  });
  return {
    drain(graceMs) {
      void end(graceMs, false);
    },
  };
}
