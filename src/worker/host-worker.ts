import type { Socket } from 'node:net';
import type { PrimaryChannel } from '../ipc/channel.js';
import type { MapConfirmation, ToWorker } from '../ipc/messages.js';
import type { UnloadedRunners, WorkerBoot, WorkerIdentity } from '../ipc/worker-boot.js';
import { createLogger, type Logger } from '../telemetry/logger.js';
import { Metrics } from '../telemetry/metrics.js';
import { bootOrRefuse, superviseWorker } from './lifecycle.js';
import { PrimaryAsks } from './primary-asks.js';

/** What a role gets to start with. */
export interface HostContext {
  readonly identity: WorkerIdentity;
  readonly boot: WorkerBoot;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly primary: PrimaryAsks;
  /** Paths of the mounts whose applications have not been ready yet, as it is now. */
  readonly startingMounts: () => readonly string[];
}

/** What a role gives back once it can take connections. */
export interface HostedServer {
  accept(socket: Socket): void;
  /** Resolves when it is warm and connected; rejects with what kept it from that. */
  readonly ready: Promise<void>;
  /** Finishes the work at hand; never rejects. */
  drain(graceMs: number): Promise<void>;
  setRunnerMap?(map: Readonly<Record<string, readonly string[]>>, unloaded: UnloadedRunners): void;
  /**
   * Resolves when the last map is in use: these runners can be called as far as it has them, and those that it has no more
   * have got the calls that were made before.
   */
  whenMapUsed?(connectedTo: readonly string[]): Promise<void>;
}

/** A runner that cannot be reached must not keep others from knowing that the map is in use. */
const USED_WITHIN_MS = 2000;

/** The life of a serving worker: boots when told to, takes connections, drains when told to. */
export function hostWorker(
  identity: WorkerIdentity,
  channel: PrimaryChannel,
  start: (context: HostContext) => Promise<HostedServer>,
): void {
  let server: HostedServer | undefined;
  let drain: ((graceMs: number) => void) | undefined;
  /** The last one that came; it may come before there is a server. */
  let runnerMap: Extract<ToWorker, { readonly type: 'runnerMap' }> | undefined;
  let startingMounts: readonly string[] = [];
  const metrics = new Metrics();
  const primary = new PrimaryAsks(channel, metrics);

  const boot = async (message: WorkerBoot): Promise<void> => {
    process.chdir(message.workingDir);
    const logger = await createLogger({ config: message.config, worker: identity.name });
    const started = await start({
      identity,
      boot: message,
      logger,
      metrics,
      primary,
      startingMounts: () => startingMounts,
    });
    server = started;
    if (runnerMap !== undefined) started.setRunnerMap?.(runnerMap.map, runnerMap.unloaded);
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

  const confirm = async ({ confirmId, connectedTo }: MapConfirmation): Promise<void> => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, USED_WITHIN_MS);
    });
    await Promise.race([server?.whenMapUsed?.(connectedTo), late]).catch(() => undefined); // closed: it makes no calls
    clearTimeout(timer);
    channel.send({ type: 'runnerMapTaken', confirmId });
  };

  channel.onMessage((message, socket) => {
    switch (message.type) {
      case 'boot':
        startingMounts = message.boot.mounts.starting;
        void bootOrRefuse(channel, () => boot(message.boot));
        return;
      case 'connection':
        take(message.connectionId, socket);
        return;
      case 'runnerMap':
        runnerMap = message;
        server?.setRunnerMap?.(message.map, message.unloaded);
        if (message.confirm !== null) void confirm(message.confirm);
        return;
      case 'mounts':
        startingMounts = message.starting;
        return;
      case 'metricsText':
      case 'counters':
      case 'modelAnswered':
      case 'tokens':
        primary.answered(message);
        return;
      case 'deltaWanted':
        channel.send({ type: 'metrics', delta: metrics.takeDelta(), collectId: message.collectId });
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
